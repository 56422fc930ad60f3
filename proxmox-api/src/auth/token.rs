use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};

/// An API token, in the form `USER@REALM!TOKENID=SECRET`.
///
/// Never printed: `Debug` and `Display` show the part before the `=`.
///
/// ```
/// use proxmox_api::ApiToken;
///
/// let token: ApiToken = "deploy@pve!panel=6fa459ea-ee8a-3ca4-894e-db77e160355e".parse()?;
/// assert_eq!(token.to_string(), "deploy@pve!panel");
/// # Ok::<(), proxmox_api::ApiTokenError>(())
/// ```
#[derive(Clone)]
pub struct ApiToken {
    id: String,
    secret: SecretString,
}

/// Why a text is not an API token. Never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiTokenError {
    /// There is no `=` with a secret behind it.
    #[error("an API token has the form USER@REALM!TOKENID=SECRET, but there is no secret after a `=`")]
    NoSecret,
    /// There is no `!` with a token id behind it.
    #[error("an API token has the form USER@REALM!TOKENID=SECRET, but there is no token id after a `!`")]
    NoTokenId,
    /// There is no user, or no `@` with a realm behind it.
    #[error("an API token has the form USER@REALM!TOKENID=SECRET, but the user or the realm is missing")]
    NoRealm,
    /// There is a character that cannot stand in a header, or a space.
    #[error("an API token holds printable ASCII characters without spaces")]
    Character,
}

impl ApiToken {
    /// The token's name, `USER@REALM!TOKENID`: what PVE shows as the user of its tasks.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The value of the `Authorization` header.
    pub(crate) fn header(&self) -> String {
        format!("PVEAPIToken={}={}", self.id, self.secret.expose_secret())
    }
}

impl FromStr for ApiToken {
    type Err = ApiTokenError;

    fn from_str(text: &str) -> Result<Self, ApiTokenError> {
        let text = text.trim();
        // As it stands in the header: people copy that too.
        let text = text.strip_prefix("PVEAPIToken=").unwrap_or(text);
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ApiTokenError::Character);
        }
        let (id, secret) = text.split_once('=').ok_or(ApiTokenError::NoSecret)?;
        if secret.is_empty() {
            return Err(ApiTokenError::NoSecret);
        }
        let (user, token) = id.rsplit_once('!').ok_or(ApiTokenError::NoTokenId)?;
        if token.is_empty() {
            return Err(ApiTokenError::NoTokenId);
        }
        match user.rsplit_once('@') {
            Some((name, realm)) if !name.is_empty() && !realm.is_empty() => {}
            _ => return Err(ApiTokenError::NoRealm),
        }
        Ok(Self { id: id.to_owned(), secret: SecretString::from(secret.to_owned()) })
    }
}

impl fmt::Display for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiToken({}=...)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn says_what_is_missing() {
        for (text, error) in [
            ("", ApiTokenError::NoSecret),
            ("a@pve!t", ApiTokenError::NoSecret),
            ("a@pve!t=", ApiTokenError::NoSecret),
            ("a@pve=s", ApiTokenError::NoTokenId),
            ("a@pve!=s", ApiTokenError::NoTokenId),
            ("a!t=s", ApiTokenError::NoRealm),
            ("@pve!t=s", ApiTokenError::NoRealm),
            ("a@pve!t=s\r\nx", ApiTokenError::Character),
        ] {
            assert_eq!(text.parse::<ApiToken>().map(|token| token.id).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn is_never_printed() {
        let token: ApiToken = "PVEAPIToken=a@pve!t=hunter2".parse().unwrap();
        assert_eq!(token.header(), "PVEAPIToken=a@pve!t=hunter2");
        assert!(!format!("{token:?} {token}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,60}") {
            if let Ok(token) = text.parse::<ApiToken>() {
                let again: ApiToken = token.header().parse().unwrap();
                prop_assert_eq!(again.header(), token.header());
            }
        }
    }
}
