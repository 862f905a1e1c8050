//! Certificates and keys as PEM text, read for whoever needs them.
//!
//! What is wrong with a text is said in words of our own: a parser's message may repeat a line of a private key.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Characters in a line of PEM (RFC 7468).
const LINE: usize = 64;

/// The certificates in a text, at least one, in its order. Anything between them is passed over.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(text).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err("holds no PEM certificate (-----BEGIN CERTIFICATE-----)".to_owned()),
        Err(_) => Err("holds a damaged PEM certificate".to_owned()),
    }
}

/// The first private key in a text: PKCS#8, PKCS#1 or SEC1, without a passphrase.
pub(crate) fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound if is_encrypted(text) => {
            "holds a private key with a passphrase: store it without one".to_owned()
        }
        pem::Error::NoItemsFound => "holds no PEM private key (-----BEGIN PRIVATE KEY-----)".to_owned(),
        _ => "holds a damaged PEM private key".to_owned(),
    })
}

fn is_encrypted(text: &[u8]) -> bool {
    const MARK: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    text.windows(MARK.len()).any(|window| window == MARK)
}

/// Certificates as text, and nothing else in it.
pub(crate) fn text_of(certificates: &[CertificateDer<'_>]) -> String {
    let mut text = String::new();
    for certificate in certificates {
        let encoded = BASE64_STANDARD.encode(certificate);
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(LINE));
            text.push_str(line);
            text.push('\n');
            rest = after;
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_found_between_comments_and_written_without_them() {
        let key = rcgen::generate_simple_self_signed(["kafka".to_owned()]).unwrap();
        let commented = format!("# issued by me\n{0}\n{0}# the end", key.cert.pem());
        let found = certificates(commented.as_bytes()).unwrap();
        assert_eq!(found, [key.cert.der().clone(), key.cert.der().clone()]);
        assert_eq!(certificates(text_of(&found).as_bytes()).unwrap(), found);
        assert!(private_key(key.signing_key.serialize_pem().as_bytes()).is_ok());
    }

    #[test]
    fn what_is_no_pem_is_named_and_not_shown() {
        let cut = "-----BEGIN PRIVATE KEY-----\nsecret\n";
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for (text, part) in [("", "no PEM private key"), (cut, "damaged"), (encrypted, "passphrase")] {
            let problem = private_key(text.as_bytes()).unwrap_err();
            assert!(problem.contains(part) && !problem.contains("secret"), "{problem}");
        }
        for (text, part) in [("garbage", "no PEM certificate"), ("-----BEGIN CERTIFICATE-----\nAAAA\n", "damaged")] {
            let problem = certificates(text.as_bytes()).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
    }
}
