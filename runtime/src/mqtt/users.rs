//! Who may connect: user names and their passwords, hashed or plain.
//!
//! Owns understanding what a Secret has (a key per user) and
//! verifying a password without telling by its timing whether the user exists. Slow hashes run on the
//! blocking pool, a few at a time, so that a crowd of reconnecting clients does not occupy it.
//! Passwords and hashes never reach a log or an error.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

/// The user database of one Bridge; cheap to clone.
#[derive(Debug, Clone)]
pub struct Users(Arc<Inner>);

struct Inner {
    credentials: HashMap<String, Credential>,
    /// Verified in place of an unknown user's, so that both take the same time.
    decoy: Option<Credential>,
    hashing: Arc<Semaphore>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users").field("count", &self.credentials.len()).finish_non_exhaustive()
    }
}

/// How a user's password is checked.
#[derive(Clone)]
enum Credential {
    Plain(Arc<str>),
    /// argon2 or pbkdf2 in PHC form.
    Phc(Arc<str>),
    Bcrypt(Arc<str>),
}

/// One user that cannot log in because the stored value is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "user {username:?} cannot log in: {problem}: the value must be a hash ($argon2id$…, $pbkdf2-sha256$…, $2b$… of bcrypt) or plain:PASSWORD"
)]
pub struct UserProblem {
    /// The user's name.
    pub username: String,
    /// What is wrong, without the value itself.
    pub problem: &'static str,
}

impl Users {
    /// The users of a map from user name to stored value, as in the `data` of a Secret: the password's hash, or `plain:`
    /// and the password. A line end after the value is ignored.
    ///
    /// Users whose value is not understood are left out and reported; the others can log in.
    pub fn from_entries(
        entries: impl IntoIterator<Item = (impl Into<String>, impl AsRef<[u8]>)>,
    ) -> (Self, Vec<UserProblem>) {
        let mut credentials = HashMap::new();
        let mut problems = Vec::new();
        for (username, value) in entries {
            let username = username.into();
            match Credential::parse(value.as_ref()) {
                Ok(credential) => {
                    credentials.insert(username, credential);
                }
                Err(problem) => problems.push(UserProblem { username, problem }),
            }
        }
        problems.sort_by(|a, b| a.username.cmp(&b.username));
        let decoy = credentials
            .iter()
            .max_by_key(|(username, credential)| (credential.is_slow(), *username))
            .map(|(_, credential)| credential.clone());
        let at_a_time = std::thread::available_parallelism().map_or(1, usize::from);
        (Self(Arc::new(Inner { credentials, decoy, hashing: Arc::new(Semaphore::new(at_a_time)) })), problems)
    }

    /// How many users can log in.
    pub fn len(&self) -> usize {
        self.0.credentials.len()
    }

    /// Whether nobody can log in.
    pub fn is_empty(&self) -> bool {
        self.0.credentials.is_empty()
    }

    /// Whether `password` is the one of `username`.
    pub async fn verify(&self, username: &str, password: Bytes) -> bool {
        let known = self.0.credentials.get(username);
        let Some(credential) = known.or(self.0.decoy.as_ref()) else { return false };
        let matches = if credential.is_slow() {
            let Ok(permit) = Arc::clone(&self.0.hashing).acquire_owned().await else { return false };
            let credential = credential.clone();
            let verify = move || {
                // Held to the end, also when nobody waits for the result any more.
                let _permit = permit;
                credential.verify(&password)
            };
            tokio::task::spawn_blocking(verify).await.unwrap_or(false)
        } else {
            credential.verify(&password)
        };
        matches && known.is_some()
    }
}

impl Credential {
    fn parse(value: &[u8]) -> Result<Self, &'static str> {
        let value = std::str::from_utf8(value).map_err(|_| "the stored value is not UTF-8 text")?;
        let value = value.trim_end_matches(['\r', '\n']);
        if let Some(password) = value.strip_prefix("plain:") {
            return Ok(Self::Plain(password.into()));
        }
        if ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|prefix| value.starts_with(prefix)) {
            bcrypt::HashParts::from_str(value).map_err(|_| "the bcrypt hash is damaged")?;
            return Ok(Self::Bcrypt(value.into()));
        }
        if value.starts_with("$argon2") || value.starts_with("$pbkdf2") {
            // The parser takes a PHC string without its last part, the hash itself, for whole.
            let whole = value.split('$').count() > 3 && value.rsplit('$').next().is_some_and(|hash| hash.len() > 13);
            if !whole || password_auth::is_hash_obsolete(value).is_err() {
                return Err("the hash is damaged");
            }
            return Ok(Self::Phc(value.into()));
        }
        Err("the stored value is neither a known hash nor plain:")
    }

    fn is_slow(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    fn verify(&self, password: &[u8]) -> bool {
        match self {
            Self::Plain(expected) => expected.as_bytes().ct_eq(password).into(),
            Self::Phc(hash) => password_auth::verify_password(password, hash).is_ok(),
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PBKDF2: &str = "$pbkdf2-sha256$i=4096,l=32$c2FsdA$xeR41ZKIyEGqUw22hFxMjZYok6ABzk4RpJY4c6qYE0o";

    async fn verify(users: &Users, username: &str, password: &str) -> bool {
        users.verify(username, Bytes::copy_from_slice(password.as_bytes())).await
    }

    #[tokio::test]
    async fn each_kind_of_stored_password_is_verified() {
        let argon2 = password_auth::generate_hash("argon");
        let bcrypt = bcrypt::hash("crypt", 4).unwrap();
        let (users, problems) = Users::from_entries([
            ("argon2", argon2.as_str()),
            ("bcrypt", &bcrypt),
            ("pbkdf2", PBKDF2),
            ("plain", "plain:secret"),
        ]);
        assert_eq!(problems, []);
        for (username, password) in
            [("argon2", "argon"), ("bcrypt", "crypt"), ("pbkdf2", "password"), ("plain", "secret")]
        {
            assert!(verify(&users, username, password).await, "{username}");
            assert!(!verify(&users, username, "wrong").await, "{username}");
            assert!(!verify(&users, username, "").await, "{username}");
        }
        assert!(!verify(&users, "nobody", "secret").await);
        assert!(!verify(&users, "nobody", "argon").await, "the decoy's own password opens nothing");
    }

    #[test]
    fn damaged_users_are_named_and_their_values_are_not() {
        let (users, problems) = Users::from_entries([
            ("car-7", "plain:abc\n"),
            ("car-8", "abc"),
            ("car-9", "$argon2id$nonsense"),
            ("car-10", &PBKDF2[..30]),
        ]);
        assert_eq!(users.len(), 1);
        let named: Vec<_> = problems.iter().map(|problem| problem.username.as_str()).collect();
        assert_eq!(named, ["car-10", "car-8", "car-9"]);
        assert!(!problems[1].to_string().contains("abc"), "{}", problems[1]);
    }
}
