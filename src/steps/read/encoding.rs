//! The text encodings of attribute tables: what is declared, what the bytes say, and which of the two is believed.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// A way to turn bytes into text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TextEncoding {
    /// One that the encoding standard of the web knows.
    Web(&'static Encoding),
    /// A code page of DOS: its name, and the characters of the bytes 128 to 255 in order.
    Dos(&'static str, &'static str),
}

/// Code page 850, DOS Latin 1: names of zip entries made by Windows, and old tables.
pub(super) const CP850: TextEncoding = TextEncoding::Dos(
    "CP850",
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}",
);
/// Code page 437, DOS of the United States.
const CP437: TextEncoding = TextEncoding::Dos(
    "CP437",
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
);

impl TextEncoding {
    /// The name a reader knows it by.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Web(encoding) => encoding.name(),
            Self::Dos(name, _) => name,
        }
    }

    /// Decodes; bytes that mean nothing become U+FFFD, save a character cut by the width of its field, which is dropped.
    pub(super) fn decode(self, bytes: &[u8]) -> String {
        match self {
            Self::Web(encoding) if encoding == UTF_8 => match std::str::from_utf8(bytes) {
                Err(e) if e.error_len().is_none() => String::from_utf8_lossy(&bytes[..e.valid_up_to()]).into_owned(),
                _ => String::from_utf8_lossy(bytes).into_owned(),
            },
            Self::Web(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
            Self::Dos(_, high) => bytes
                .iter()
                .map(|&b| match b {
                    0..=127 => char::from(b),
                    128.. => high.chars().nth(usize::from(b) - 128).unwrap_or(char::REPLACEMENT_CHARACTER),
                })
                .collect(),
        }
    }

    fn of(label: &str) -> Option<Self> {
        Encoding::for_label(label.as_bytes()).map(Self::Web)
    }

    /// The encoding a `.cpg` names. No standard lists these names: they are the spellings of ArcGIS, QGIS and GDAL.
    pub(super) fn from_cpg(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let label = text.trim_start_matches('\u{feff}').trim();
        let key: String = label.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
        let digits = ["WINDOWS", "ANSI", "ISO", "IBM", "CP", "MS", "DOS", "OEM"]
            .iter()
            .fold(key.as_str(), |rest, prefix| rest.strip_prefix(prefix).unwrap_or(rest));
        match digits {
            "UTF8" | "65001" => Some(Self::Web(UTF_8)),
            "850" => Some(CP850),
            "437" => Some(CP437),
            "1250" | "1251" | "1252" | "1253" | "1254" | "1255" | "1256" | "1257" | "1258" => {
                Self::of(&format!("windows-{digits}"))
            }
            "88591" | "28591" | "LATIN1" => Some(Self::Web(WINDOWS_1252)),
            "885915" | "28605" | "LATIN9" => Self::of("iso-8859-15"),
            "885912" | "88592" | "28592" => Self::of("iso-8859-2"),
            "866" => Self::of("ibm866"),
            "874" => Self::of("windows-874"),
            "932" => Self::of("shift_jis"),
            "936" => Self::of("gbk"),
            "949" => Self::of("euc-kr"),
            "950" => Self::of("big5"),
            _ => Self::of(label),
        }
    }

    /// The encoding of a table's language byte (offset 29 of a dBASE header; ESRI writes 0x57 for "ANSI").
    pub(super) fn from_language_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 | 0x09 | 0x0b | 0x0d | 0x0f | 0x11 | 0x15 | 0x18 | 0x19 | 0x1b => Some(CP437),
            0x02 | 0x0a | 0x0e | 0x10 | 0x12 | 0x14 | 0x16 | 0x1a | 0x1d | 0x25 | 0x37 => Some(CP850),
            0x03 | 0x57 | 0x58 | 0x59 => Some(Self::Web(WINDOWS_1252)),
            0x13 | 0x7b => Self::of("shift_jis"),
            0x26 | 0x65 => Self::of("ibm866"),
            0x4d | 0x7a => Self::of("gbk"),
            0x4e | 0x79 => Self::of("euc-kr"),
            0x4f | 0x78 => Self::of("big5"),
            0xc8 => Self::of("windows-1250"),
            0xc9 => Self::of("windows-1251"),
            0xca => Self::of("windows-1254"),
            0xcb => Self::of("windows-1253"),
            _ => None,
        }
    }
}

/// An encoding, how it was found, and what the reader of the report should know about it.
#[derive(Debug, PartialEq)]
pub(super) struct Decision {
    /// The encoding to decode with.
    pub encoding: TextEncoding,
    /// Where it comes from, in words.
    pub why: &'static str,
    /// Code, found, expected, when a declaration was not believed or was missing.
    pub doubt: Option<(&'static str, String, String)>,
}

/// Weighs the `.cpg`, the language byte and the bytes themselves, in that order, and believes none against the bytes.
///
/// French text in Windows-1252 is practically never valid UTF-8, so valid UTF-8 with accents is UTF-8.
pub(super) fn decide<'a>(cpg: Option<&[u8]>, language_byte: u8, texts: impl Iterator<Item = &'a [u8]>) -> Decision {
    let (mut accents, mut utf8) = (false, true);
    for text in texts.filter(|text| !text.is_ascii()) {
        accents = true;
        utf8 &= !matches!(std::str::from_utf8(text), Err(e) if e.error_len().is_some());
    }
    let western = |e: TextEncoding| matches!(e.name(), "windows-1252" | "ISO-8859-15" | "CP850" | "CP437");
    let language = TextEncoding::from_language_byte(language_byte);
    let quote = |cpg: &[u8]| format!("`{}`", String::from_utf8_lossy(cpg).trim().chars().take(40).collect::<String>());
    let sound = |encoding, why| Decision { encoding, why, doubt: None };
    let doubtful = |encoding, why, doubt| Decision { encoding, why, doubt: Some(doubt) };
    let utf8_encoding = TextEncoding::Web(UTF_8);
    let fallback = language.unwrap_or(TextEncoding::Web(WINDOWS_1252));

    if let Some(declared) = cpg.and_then(TextEncoding::from_cpg) {
        if declared == utf8_encoding && !utf8 {
            let found = "a .cpg that says UTF-8 beside text which is not UTF-8".to_owned();
            return doubtful(
                fallback,
                "the .cpg is wrong",
                ("cpg_wrong", found, format!("{}, used instead", fallback.name())),
            );
        }
        if western(declared) && accents && utf8 {
            let found = format!("a .cpg that says {} beside text which is valid UTF-8", quote(cpg.unwrap_or_default()));
            return doubtful(
                utf8_encoding,
                "the .cpg is wrong",
                ("cpg_wrong", found, "UTF-8, used instead".to_owned()),
            );
        }
        return sound(declared, ".cpg");
    }
    let unknown_cpg = cpg
        .map(|cpg| ("cpg_unknown", format!("a .cpg that says {}", quote(cpg)), "the name of an encoding".to_owned()));
    match language {
        Some(declared) if western(declared) && accents && utf8 => {
            let found = format!("a language byte that says {} beside text which is valid UTF-8", declared.name());
            doubtful(utf8_encoding, "recognised", ("language_byte_wrong", found, "UTF-8, used instead".to_owned()))
        }
        Some(encoding) => Decision { encoding, why: "language byte", doubt: unknown_cpg },
        None if !accents => Decision { encoding: utf8_encoding, why: "ASCII only", doubt: unknown_cpg },
        None => {
            let encoding = if utf8 { utf8_encoding } else { TextEncoding::Web(WINDOWS_1252) };
            let found = "accents and no declared encoding".to_owned();
            let guessed = ("encoding_guessed", found, format!("a .cpg; {} was recognised and used", encoding.name()));
            doubtful(encoding, "recognised", unknown_cpg.unwrap_or(guessed))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpg_is_understood_in_every_spelling_met() {
        for (cpg, name) in [
            ("UTF-8", "UTF-8"),
            ("\u{feff}utf8\r\n", "UTF-8"),
            ("65001", "UTF-8"),
            ("1252", "windows-1252"),
            ("CP1252", "windows-1252"),
            ("ANSI 1252", "windows-1252"),
            ("windows-1252\n", "windows-1252"),
            ("LATIN1", "windows-1252"),
            ("ISO-8859-1\n", "windows-1252"),
            ("ISO 88591", "windows-1252"),
            ("ISO-8859-15", "ISO-8859-15"),
            ("936\n", "GBK"),
            ("ANSI 1250", "windows-1250"),
            ("850", "CP850"),
            ("OEM 850", "CP850"),
            ("437", "CP437"),
        ] {
            assert_eq!(TextEncoding::from_cpg(cpg.as_bytes()).map(TextEncoding::name), Some(name), "{cpg:?}");
        }
        assert_eq!(TextEncoding::from_cpg(b"<html>"), None);
        assert_eq!(TextEncoding::from_cpg(b""), None);
    }

    #[test]
    fn the_bytes_win_over_what_is_declared() {
        let (utf8, latin) = ("Hôpital".as_bytes(), &b"H\xf4pital"[..]);
        let cut = &"Hôpitalé".as_bytes()[..9];
        for (cpg, byte, text, name, doubt) in [
            (Some("UTF-8"), 0, utf8, "UTF-8", None),
            (Some("UTF-8"), 0, latin, "windows-1252", Some("cpg_wrong")),
            (Some("UTF-8"), 0, cut, "UTF-8", None),
            (Some("1252"), 0, latin, "windows-1252", None),
            (Some("1252"), 0, utf8, "UTF-8", Some("cpg_wrong")),
            (Some("nonsense"), 0x57, latin, "windows-1252", Some("cpg_unknown")),
            (None, 0x57, latin, "windows-1252", None),
            (None, 0x57, utf8, "UTF-8", Some("language_byte_wrong")),
            (None, 0x57, &b"Hopital"[..], "windows-1252", None),
            (None, 0, utf8, "UTF-8", Some("encoding_guessed")),
            (None, 0, latin, "windows-1252", Some("encoding_guessed")),
            (None, 0, &b"Hopital"[..], "UTF-8", None),
        ] {
            let decision = decide(cpg.map(str::as_bytes), byte, [text].into_iter());
            assert_eq!(
                (decision.encoding.name(), decision.doubt.map(|d| d.0)),
                (name, doubt),
                "{cpg:?} {byte:#x} {text:?}"
            );
        }
    }

    #[test]
    fn dos_pages_cover_their_upper_half() {
        for page in [CP850, CP437] {
            let TextEncoding::Dos(name, high) = page else { unreachable!("a DOS page") };
            assert_eq!(high.chars().count(), 128, "{name}");
        }
        assert_eq!(CP850.decode(b"Arriv\x82e"), "Arrivée");
    }
}
