//! Passwords: argon2id, a few at a time, off the runtime's threads.

mod common;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use proto_core::secret::SecretText;
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::error::Error;

/// The fewest characters of a new password.
pub(crate) const MIN_CHARS: usize = 10;
/// The most bytes that are looked at.
const MAX_BYTES: usize = 1024;

/// A hash with the same cost as a real one, which no password matches: checked where there is no account, so that both cases take
/// equally long.
const NO_ACCOUNT: &str = "$argon2id$v=19$m=19456,t=2,p=1$dmlld3BvcnQvbm9ib2R5$Eo3bZ5p2kqY0cJQ0J8vF1mYx1c0b0p1n2f3g4h5i6j4";

/// Hashes and checks passwords. Each run takes 19 MiB, so only a few run at once.
#[derive(Debug)]
pub(crate) struct Passwords(Semaphore);

impl Passwords {
    pub(crate) const fn new() -> Self {
        Self(Semaphore::const_new(2))
    }

    /// The PHC string to keep for a new password.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that is easily guessed, also by an attacker who knows what the account says `about` its owner.
    pub(crate) async fn hash(&self, password: SecretText, about: &[&str]) -> Result<String, Error> {
        check_strength(password.expose(), about)?;
        self.run(move || {
            let hash = Argon2::default().hash_password(password.expose().as_bytes());
            hash.map(|hash| hash.to_string()).map_err(|error| Error::Internal(error.to_string()))
        })
        .await
    }

    /// Whether `password` is the one that was hashed; `None` stands for an account that does not exist.
    pub(crate) async fn verify(&self, password: SecretText, hash: Option<String>) -> Result<bool, Error> {
        if password.expose().len() > MAX_BYTES {
            return Ok(false);
        }
        self.run(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NO_ACCOUNT.to_owned());
            let hash = PasswordHash::new(&hash).map_err(|error| Error::Internal(error.to_string()))?;
            let fits = Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok();
            Ok(fits && known)
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        let _seat = self.0.acquire().await.map_err(|error| Error::Internal(error.to_string()))?;
        spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))?
    }
}

fn check_strength(password: &str, about: &[&str]) -> Result<(), Error> {
    if password.trim().chars().count() < MIN_CHARS {
        return Err(Error::invalid(format!("Choose a password of at least {MIN_CHARS} characters.")));
    }
    if password.len() > MAX_BYTES {
        return Err(Error::invalid("That password is too long."));
    }
    if common::is_common(password, about) {
        return Err(Error::invalid("That password is one of the most common passwords. Choose another one."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_fits() {
        let passwords = Passwords::new();
        let hash = passwords.hash(SecretText::new("correct horse"), &[]).await.unwrap();
        assert!(hash.starts_with("$argon2id$") && !hash.contains("correct"));
        assert!(passwords.verify(SecretText::new("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(SecretText::new("correct horsE"), Some(hash)).await.unwrap());
        assert!(!passwords.verify(SecretText::new("correct horse"), None).await.unwrap());
        for weak in ["too short", "          ", "short     ", "password123"] {
            assert!(matches!(passwords.hash(SecretText::new(weak), &[]).await, Err(Error::Invalid(_))), "{weak}");
        }
    }
}
