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

/// Pages of DOS by their number.
const DOS_PAGES: [(u16, TextEncoding); 10] = [
    (437, CP437),
    (850, CP850),
    (
        737,
        TextEncoding::Dos(
            "CP737",
            "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθικλμνξοπρσςτυφχψ░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀ωάέήϊίόύϋώΆΈΉΊΌΎΏ±≥≤ΪΫ÷≈°∙·√ⁿ²■\u{a0}",
        ),
    ),
    (
        852,
        TextEncoding::Dos(
            "CP852",
            "ÇüéâäůćçłëŐőîŹÄĆÉĹĺôöĽľŚśÖÜŤťŁ×čáíóúĄąŽžĘę¬źČş«»░▒▓│┤ÁÂĚŞ╣║╗╝Żż┐└┴┬├─┼Ăă╚╔╩╦╠═╬¤đĐĎËďŇÍÎě┘┌█▄ŢŮ▀ÓßÔŃńňŠšŔÚŕŰýÝţ´\u{ad}˝˛ˇ˘§÷¸°¨˙űŘř■\u{a0}",
        ),
    ),
    (
        857,
        TextEncoding::Dos(
            "CP857",
            "ÇüéâäàåçêëèïîıÄÅÉæÆôöòûùİÖÜø£ØŞşáíóúñÑĞğ¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ºªÊËÈ\u{fffd}ÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµ\u{fffd}×ÚÛÙìÿ¯´\u{ad}±\u{fffd}¾¶§÷¸°¨·¹³²■\u{a0}",
        ),
    ),
    (
        858,
        TextEncoding::Dos(
            "CP858",
            "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈ€ÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}",
        ),
    ),
    (
        860,
        TextEncoding::Dos(
            "CP860",
            "ÇüéâãàÁçêÊèÍÔìÃÂÉÀÈôõòÚùÌÕÜ¢£Ù₧ÓáíóúñÑªº¿Ò¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
        ),
    ),
    (
        861,
        TextEncoding::Dos(
            "CP861",
            "ÇüéâäàåçêëèÐðÞÄÅÉæÆôöþûÝýÖÜø£Ø₧ƒáíóúÁÍÓÚ¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
        ),
    ),
    (
        863,
        TextEncoding::Dos(
            "CP863",
            "ÇüéâÂà¶çêëèïî‗À§ÉÈÊôËÏûù¤ÔÜ¢£ÙÛƒ¦´óú¨¸³¯Î⌐¬½¼¾«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
        ),
    ),
    (
        865,
        TextEncoding::Dos(
            "CP865",
            "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø₧ƒáíóúñÑªº¿⌐¬½¼¡«¤░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
        ),
    ),
];

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

    /// By a label of the web; UTF-16 is none of a table whose texts are padded with single blanks.
    fn of(label: &str) -> Option<Self> {
        let encoding = Encoding::for_label_no_replacement(label.as_bytes())?;
        (encoding.output_encoding() == encoding).then_some(Self::Web(encoding))
    }

    fn dos(number: u16) -> Option<Self> {
        DOS_PAGES.iter().find(|(page, _)| *page == number).map(|(_, encoding)| *encoding)
    }

    /// The encoding a `.cpg` names. No standard lists these names: they are the spellings of ArcGIS, QGIS and GDAL.
    pub(super) fn from_cpg(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let label = text.trim_start_matches('\u{feff}').trim();
        let key: String = label.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
        let prefixes = ["WINDOWS", "WIN", "ANSI", "ISO", "IBM", "CODEPAGE", "CP", "MSDOS", "MS", "DOS", "OEM", "X"];
        let digits = prefixes.iter().fold(key.as_str(), |rest, prefix| rest.strip_prefix(prefix).unwrap_or(rest));
        match (key.as_str(), digits) {
            (_, "UTF8" | "65001" | "UTF8SIG" | "UTF8BOM") => Some(Self::Web(UTF_8)),
            // "ANSI" and "OEM" alone are what Windows calls its two pages; in western Europe they are these.
            ("ANSI" | "WINDOWS" | "SYSTEM", _) => Some(Self::Web(WINDOWS_1252)),
            ("OEM" | "DOS", _) => Some(CP850),
            (_, "1250" | "1251" | "1252" | "1253" | "1254" | "1255" | "1256" | "1257" | "1258") => {
                Self::of(&format!("windows-{digits}"))
            }
            (_, "88591" | "28591" | "LATIN1" | "L1" | "819") => Some(Self::Web(WINDOWS_1252)),
            (_, "885915" | "28605" | "LATIN9" | "L9" | "LATIN0") => Self::of("iso-8859-15"),
            (_, "88592" | "28592" | "LATIN2" | "L2") => Self::of("iso-8859-2"),
            (_, "MACROMAN" | "MACINTOSH" | "MAC" | "10000") => Self::of("macintosh"),
            (_, "866") => Self::of("ibm866"),
            (_, "874") => Self::of("windows-874"),
            (_, "932") => Self::of("shift_jis"),
            (_, "936") => Self::of("gbk"),
            (_, "949") => Self::of("euc-kr"),
            (_, "950") => Self::of("big5"),
            (_, number) if number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit()) => {
                Self::dos(number.parse().ok()?)
            }
            _ => Self::of(label),
        }
    }

    /// The encoding of a table's language byte (offset 29 of a dBASE header; ESRI writes 0x57 for "ANSI").
    pub(super) fn from_language_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 | 0x09 | 0x0b | 0x0d | 0x0f | 0x11 | 0x15 | 0x18 | 0x19 | 0x1b => Some(CP437),
            0x02 | 0x0a | 0x0e | 0x10 | 0x12 | 0x14 | 0x16 | 0x1a | 0x1d | 0x25 | 0x37 => Some(CP850),
            0x03 | 0x57 | 0x58 | 0x59 => Some(Self::Web(WINDOWS_1252)),
            0x04 => Self::of("macintosh"),
            0x08 | 0x17 | 0x66 => Self::dos(865),
            0x13 | 0x7b => Self::of("shift_jis"),
            0x1c | 0x6c => Self::dos(863),
            0x1f | 0x22 | 0x23 | 0x40 | 0x64 | 0x87 => Self::dos(852),
            0x24 => Self::dos(860),
            0x26 | 0x65 => Self::of("ibm866"),
            0x4d | 0x7a => Self::of("gbk"),
            0x4e | 0x79 => Self::of("euc-kr"),
            0x4f | 0x78 => Self::of("big5"),
            0x50 | 0x7c => Self::of("windows-874"),
            0x67 => Self::dos(861),
            0x6a | 0x86 => Self::dos(737),
            0x6b | 0x88 => Self::dos(857),
            0x7d => Self::of("windows-1255"),
            0x7e => Self::of("windows-1256"),
            0x96 => Self::of("x-mac-cyrillic"),
            0xc8 => Self::of("windows-1250"),
            0xc9 => Self::of("windows-1251"),
            0xca => Self::of("windows-1254"),
            0xcb => Self::of("windows-1253"),
            0xcc => Self::of("windows-1257"),
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

/// Letters of French as code page 850 writes them, but for those that Windows-1252 reads as dashes and points.
const DOS_LETTERS: &[u8] = &[0x82, 0x83, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x93];
/// The same letters as Windows-1252 writes them.
const WINDOWS_LETTERS: &[u8] = &[0xe0, 0xe2, 0xe7, 0xe8, 0xe9, 0xea, 0xeb, 0xee, 0xef, 0xf4, 0xf9, 0xfb];

/// What the bytes of all texts have in common.
struct Seen {
    accents: bool,
    utf8: bool,
    /// Whether a lower-case letter is followed by one of these, as within words.
    dos: bool,
    windows: bool,
}

impl Seen {
    fn in_texts<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut seen = Self { accents: false, utf8: true, dos: false, windows: false };
        let mut whole = false;
        for text in texts.filter(|text| !text.is_ascii()) {
            seen.accents = true;
            match std::str::from_utf8(text) {
                Ok(_) => whole = true,
                // A character cut by the width of its field; alone it may as well be one of another encoding.
                Err(e) if e.error_len().is_none() => whole |= !text[..e.valid_up_to()].is_ascii(),
                Err(_) => seen.utf8 = false,
            }
            let within = |letters: &[u8]| text.windows(2).any(|w| w[0].is_ascii_lowercase() && letters.contains(&w[1]));
            seen.dos |= within(DOS_LETTERS);
            seen.windows |= within(WINDOWS_LETTERS);
        }
        seen.utf8 &= whole;
        seen
    }

    /// The encoding that the bytes speak for against the one declared, when they do.
    ///
    /// French text in Windows-1252 is practically never valid UTF-8, so valid UTF-8 with accents is UTF-8. Among the
    /// western pages, accents within words tell those of DOS from those of Windows.
    fn against(&self, declared: TextEncoding, otherwise: TextEncoding) -> Option<TextEncoding> {
        let windows = matches!(declared.name(), "windows-1252" | "ISO-8859-15");
        let dos = matches!(declared.name(), "CP850" | "CP437" | "CP858");
        let utf8 = declared == TextEncoding::Web(UTF_8);
        if !self.accents {
            None
        } else if self.utf8 {
            (windows || dos).then_some(TextEncoding::Web(UTF_8))
        } else if utf8 {
            Some(self.against(otherwise, otherwise).unwrap_or(otherwise))
        } else if windows && self.dos && !self.windows {
            Some(CP850)
        } else if dos && self.windows && !self.dos {
            Some(TextEncoding::Web(WINDOWS_1252))
        } else {
            None
        }
    }
}

/// Weighs the `.cpg`, the language byte and the bytes themselves, in that order, and believes none against the bytes.
pub(super) fn decide<'a>(cpg: Option<&[u8]>, language_byte: u8, texts: impl Iterator<Item = &'a [u8]>) -> Decision {
    let seen = Seen::in_texts(texts);
    let language = TextEncoding::from_language_byte(language_byte);
    let fallback = language.unwrap_or(TextEncoding::Web(WINDOWS_1252));
    let quote = |cpg: &[u8]| format!("`{}`", String::from_utf8_lossy(cpg).trim().chars().take(40).collect::<String>());
    let wrong = |code, said: String, encoding: TextEncoding, why| {
        let what =
            if encoding == TextEncoding::Web(UTF_8) { "valid UTF-8".to_owned() } else { encoding.name().to_string() };
        let found = format!("{said} beside text which is {what}");
        Decision { encoding, why, doubt: Some((code, found, format!("{}, used instead", encoding.name()))) }
    };
    if let Some(declared) = cpg.and_then(TextEncoding::from_cpg) {
        let said = format!("a .cpg that says {}", quote(cpg.unwrap_or_default()));
        return match seen.against(declared, fallback) {
            Some(encoding) => wrong("cpg_wrong", said, encoding, "the .cpg is wrong"),
            None => Decision { encoding: declared, why: ".cpg", doubt: None },
        };
    }
    let unknown_cpg = cpg
        .map(|cpg| ("cpg_unknown", format!("a .cpg that says {}", quote(cpg)), "the name of an encoding".to_owned()));
    let western = TextEncoding::Web(WINDOWS_1252);
    match language {
        Some(declared) => match seen.against(declared, western) {
            Some(encoding) => {
                let said = format!("a language byte that says {}", declared.name());
                wrong("language_byte_wrong", said, encoding, "recognised")
            }
            None => Decision { encoding: declared, why: "language byte", doubt: unknown_cpg },
        },
        None if !seen.accents => Decision { encoding: TextEncoding::Web(UTF_8), why: "ASCII only", doubt: unknown_cpg },
        None => {
            let encoding = seen.against(western, western).unwrap_or(western);
            let found = "accents and no declared encoding".to_owned();
            let guessed = ("encoding_guessed", found, format!("a .cpg; {} was recognised and used", encoding.name()));
            Decision { encoding, why: "recognised", doubt: Some(unknown_cpg.unwrap_or(guessed)) }
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
            ("ANSI", "windows-1252"),
            ("OEM", "CP850"),
            ("cp-852", "CP852"),
            ("IBM863", "CP863"),
            ("UTF-8-SIG", "UTF-8"),
            ("MacRoman", "macintosh"),
            ("Shift_JIS", "Shift_JIS"),
            ("CP932", "Shift_JIS"),
            ("iso_8859-7", "ISO-8859-7"),
        ] {
            assert_eq!(TextEncoding::from_cpg(cpg.as_bytes()).map(TextEncoding::name), Some(name), "{cpg:?}");
        }
        for nonsense in ["<html>", "999", "UTF-16", "UTF-16LE", "replacement"] {
            assert_eq!(TextEncoding::from_cpg(nonsense.as_bytes()), None, "{nonsense}");
        }
        for byte in [0x01, 0x02, 0x03, 0x04, 0x08, 0x1c, 0x57, 0x64, 0x6b, 0x78, 0x7d, 0x96, 0xc8, 0xcc] {
            assert!(TextEncoding::from_language_byte(byte).is_some(), "{byte:#x}");
        }
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
            (None, 0x57, &b"Pr\x82-aux-F\x82es"[..], "CP850", Some("language_byte_wrong")),
            (Some("1252"), 0, &b"Pr\x82"[..], "CP850", Some("cpg_wrong")),
            (Some("UTF-8"), 0, &b"Pr\x82"[..], "CP850", Some("cpg_wrong")),
            (Some("850"), 0, &b"Pr\xe9"[..], "windows-1252", Some("cpg_wrong")),
            (None, 0x02, &b"Pr\xe9"[..], "windows-1252", Some("language_byte_wrong")),
            (None, 0x02, &b"Pr\x82"[..], "CP850", None),
            (None, 0x02, &b"H\xe2TEL"[..], "CP850", None),
            (None, 0x57, &b"etc\x85 \x96 c\x9cur"[..], "windows-1252", None),
            (None, 0, &b"Pr\x82"[..], "CP850", Some("encoding_guessed")),
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
        for (number, page) in DOS_PAGES {
            let TextEncoding::Dos(name, high) = page else { unreachable!("a DOS page") };
            assert_eq!((high.chars().count(), name), (128, &*format!("CP{number}")));
        }
        assert_eq!(CP850.decode(b"Arriv\x82e"), "Arrivée");
    }
}
