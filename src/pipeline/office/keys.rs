//! Keys: made, shown once, known by a digest alone, revoked.

use super::{Fault, Office, Who, now, words};
use crate::model::Role;
use crate::steps::bytes::sha256_hex;
use crate::store::KeyEntry;
use serde_json::{Value, json};

/// Every key begins with this word, so that one that strayed into a file is recognised.
const KEY_WORD: &str = "arpent";

/// Longest name of a holder, in characters.
const NAME_CHARS_MAX: usize = 120;

impl Office {
    /// Makes a key. The answer holds it, once and never again: the store has its digest alone.
    ///
    /// # Errors
    /// An empty name, an end that is no date; the store's.
    pub async fn new_key(&self, who: &Who, name: &str, role: &Role, expires: Option<&str>) -> Result<Value, Fault> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            let expected = format!("the holder's name, in {NAME_CHARS_MAX} characters at most");
            return Err(Fault::wrong("bad_name", "name", format!("{} characters", name.chars().count()), expected));
        }
        let expires = match expires {
            None => String::new(),
            // A key that ends on a day is good until that day ends.
            Some(day) => match day.parse::<chrono::NaiveDate>() {
                Ok(day) => format!("{}T23:59:59Z", day.format("%Y-%m-%d")),
                Err(_) => {
                    return Err(Fault::wrong("bad_date", "expires", format!("`{day}`"), "a day, such as 2027-12-31"));
                }
            },
        };
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        // 256 bits that nobody guesses; the public name before them finds the digest they are compared with.
        let (id, secret) = (hex(&rand::random::<[u8; 4]>()), hex(&rand::random::<[u8; 32]>()));
        let key = format!("{KEY_WORD}_{id}_{secret}");
        let entry = KeyEntry {
            id,
            name: name.to_owned(),
            role: role.to_string(),
            digest: sha256_hex(key.as_bytes()),
            created: now(),
            expires,
            revoked: String::new(),
        };
        self.desk().put_key(&entry, &who.stamp()).await?;
        let mut told = words::key(&entry, &now());
        told["key"] = key.into();
        Ok(told)
    }

    /// The keys, by their public names; their secrets are known to nobody here.
    ///
    /// # Errors
    /// The store's.
    pub async fn keys(&self) -> Result<Value, Fault> {
        let now = now();
        let keys = self.desk().keys().await?;
        Ok(json!({ "keys": keys.iter().map(|key| words::key(key, &now)).collect::<Vec<_>>() }))
    }

    /// Revokes a key: the next request with it is refused.
    ///
    /// # Errors
    /// No such key, or it is revoked already; the store's.
    pub async fn revoke_key(&self, who: &Who, id: &str) -> Result<Value, Fault> {
        self.desk().revoke_key(id, &who.stamp()).await?;
        let entry = self.desk().key(id).await?.ok_or_else(|| Fault::unknown(format!("key `{id}`"), "a key"))?;
        Ok(words::key(&entry, &now()))
    }

    /// Whose key this is; `None` when it is nobody's, was revoked, or has ended.
    ///
    /// # Errors
    /// The store's.
    pub async fn who(&self, key: &str) -> Result<Option<Who>, Fault> {
        let mut parts = key.splitn(3, '_');
        let (Some(KEY_WORD), Some(id), Some(_)) = (parts.next(), parts.next(), parts.next()) else { return Ok(None) };
        let Some(entry) = self.desk().key(id).await? else { return Ok(None) };
        let alike = same(sha256_hex(key.as_bytes()).as_bytes(), entry.digest.as_bytes());
        if !alike || words::key_state(&entry, &now()) != "works" {
            return Ok(None);
        }
        let role = entry.role.parse().map_err(Fault::broken)?;
        Ok(Some(Who { key: entry.id, name: entry.name, role }))
    }
}

/// Whether two digests are alike, in a time that does not tell where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |apart, (a, b)| apart | (a ^ b)) == 0
}
