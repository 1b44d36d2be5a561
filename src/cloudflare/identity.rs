//! Tells credentials apart without keeping them: a keyed hash of each.
//!
//! Deliberately unknown: where the key is kept, and what hangs on a credential.

use std::fmt;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use super::credential::Credential;
use crate::engine::settings::CredentialId;

/// The key of the hash: whoever has only hashes can compare them with no secret of his own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey([u8; 16]);

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}

impl HashKey {
    /// A new one from the system's entropy; `None` where it has none.
    pub fn random() -> Option<HashKey> {
        let mut key = [0; 16];
        SystemRandom::new().fill(&mut key).ok().map(|()| HashKey(key))
    }

    /// The key in these 32 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<HashKey> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let key = is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
        Some(HashKey(key.to_be_bytes()))
    }

    /// As 32 hexadecimal digits.
    pub fn to_hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }
}

impl Credential {
    /// Which credential this is: the same for the same secret (and e-mail address) and key.
    pub fn id(&self, key: HashKey) -> CredentialId {
        let mut hash = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key.0));
        if let Credential::GlobalKey { email, .. } = self {
            hash.update(email.as_bytes());
        }
        // No e-mail address and no secret has a line break.
        hash.update(b"\n");
        hash.update(self.secret().expose().as_bytes());
        let digest = hash.sign();
        let digits = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}"));
        CredentialId(digits.collect::<String>().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Kind, Secret};

    const TOKEN: &[u8] = b"tests-token-0123456789abcdefghijklmnopqr";

    fn token(text: &[u8]) -> Credential {
        Credential::Token(Secret::parse(text, Kind::Token).unwrap())
    }

    fn legacy(email: &str) -> Credential {
        let key = Secret::parse(b"0123456789abcdef0123456789abcdef01234", Kind::GlobalKey).unwrap();
        Credential::GlobalKey { email: email.into(), key }
    }

    #[test]
    fn the_same_credential_has_the_same_id_and_every_other_another() {
        let key = HashKey::random().unwrap();
        let other = b"other-token-0123456789abcdefghijklmnopqr";
        let all = [token(TOKEN), token(other), legacy("a@example.com"), legacy("b@example.com")];
        let ids: Vec<CredentialId> = all.iter().map(|credential| credential.id(key)).collect();
        for (at, id) in ids.iter().enumerate() {
            assert!(id.0.len() == 32 && id.0.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id:?}");
            assert_eq!(ids.iter().position(|other| other == id), Some(at));
        }
        assert_eq!(token(TOKEN).id(key), ids[0]);
    }

    #[test]
    fn without_the_key_an_id_says_nothing() {
        let (one, two) = (HashKey::random().unwrap(), HashKey::random().unwrap());
        assert_ne!(one, two);
        assert_ne!(token(TOKEN).id(one), token(TOKEN).id(two));
        assert!(!format!("{one:?}").contains(&one.to_hex()[..8]));
    }

    #[test]
    fn the_hash_is_the_one_that_others_compute() {
        // printf '\ntests-token-…' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102030405060708090a0b0c0d0e0f
        let key = HashKey::from_hex("000102030405060708090a0b0c0d0e0f").unwrap();
        assert_eq!(&*token(TOKEN).id(key).0, "339942a563e6d3d6601e36530263d686");
    }

    #[test]
    fn a_key_survives_the_way_to_text_and_back_and_nothing_else_is_one() {
        let key = HashKey::from_hex("000102030405060708090A0b0c0d0e0f").unwrap();
        assert_eq!(key.to_hex(), "000102030405060708090a0b0c0d0e0f");
        for bad in ["", "00", "+00102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0g"] {
            assert_eq!(HashKey::from_hex(bad), None, "{bad}");
        }
    }
}
