use crate::{schema::Schema, tls::Tls};
use deploy_core::Clock;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use std::{fmt, path::Path, sync::Arc, time::Duration};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

/// A connection that takes longer than this to make is given up; libpq waits for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What is not acknowledged for so long is lost, and so is the connection (Linux' `TCP_USER_TIMEOUT`).
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection on which nothing happens is looked after so often.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Where the database is, and how the store uses it.
///
/// ```
/// # fn main() -> Result<(), store_postgres::SettingsError> {
/// let settings = store_postgres::Settings::parse("postgres://deploy@db1.example.net/panel?sslmode=verify-full")?
///     .with_password(&"secret".into())
///     .with_schema("pve_deploy")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Settings {
    pub(crate) config: Config,
    pub(crate) tls: Tls,
    /// Where notifications are listened to, if that is elsewhere.
    pub(crate) listen: Option<Config>,
    pub(crate) schema: Schema,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) sharing: Sharing,
    #[cfg(feature = "deadpool")]
    pub(crate) pool: Option<deadpool_postgres::Pool>,
}

/// How workers share what is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// A worker takes no more than its share: what is due and what is held, divided by the workers that live. What has been
    /// due for two seconds is anybody's, so that a worker that is slow, or dead and not yet known to be, holds up nothing.
    #[default]
    Equal,
    /// A worker takes as much as it can work on.
    Greedy,
}

/// A setting is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value:?} is not valid: {expected}")]
pub struct SettingsError {
    /// Which.
    pub field: String,
    /// What it is; never a password.
    pub value: String,
    /// What would be right.
    pub expected: String,
}

impl SettingsError {
    pub(crate) fn new(field: &str, value: impl fmt::Display, expected: impl Into<String>) -> Self {
        Self { field: field.to_owned(), value: value.to_string(), expected: expected.into() }
    }
}

impl Settings {
    /// Reads a URL as libpq has it (PostgreSQL, 34.1.1.2), such as `postgres://user:password@host:5432/database?sslmode=verify-full`
    /// or `postgres:///database?host=/run/postgresql`; several hosts may be named. Beside libpq's `sslmode`
    /// (`disable`, `prefer`, `require`, `verify-full`) it understands `sslrootcert`, a file of CA certificates in PEM;
    /// without one, `verify-full` trusts the system's.
    ///
    /// As with libpq, `prefer` (the default) and `require` do not say whom the connection is with; over any network that is
    /// not one's own, `verify-full` is right. Where the URL has no password, the environment's `PGPASSWORD` is taken.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn parse(url: &str) -> Result<Self, SettingsError> {
        let Url { plain, mode, ca } = split(url)?;
        let mut config: Config = plain.parse().map_err(|error: tokio_postgres::Error| {
            let why =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            SettingsError::new(
                "database",
                shown(url),
                format!("a URL such as \"postgres://user@host/database\" ({why})"),
            )
        })?;
        let tls = Tls::of(mode.as_deref(), ca.as_deref().map(Path::new))?;
        config.ssl_mode(tls.mode());
        if config.get_password().is_none()
            && let Ok(password) = std::env::var("PGPASSWORD")
        {
            config.password(password);
        }
        Ok(Self::tuned(config, tls))
    }

    /// Settings of a program that has them in its own form, without TLS unless [`parse`](Self::parse)d.
    pub fn of_config(mut config: Config) -> Self {
        config.ssl_mode(SslMode::Disable);
        Self::tuned(config, Tls::Off)
    }

    fn tuned(mut config: Config, tls: Tls) -> Self {
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(TCP_USER_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("pve-deploy");
        }
        config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE).keepalives_retries(3);
        Self {
            config,
            tls,
            listen: None,
            schema: Schema::standard(),
            clock: None,
            sharing: Sharing::default(),
            #[cfg(feature = "deadpool")]
            pool: None,
        }
    }

    /// The password, from wherever secrets are kept.
    #[must_use]
    pub fn with_password(mut self, password: &SecretString) -> Self {
        self.config.password(password.expose_secret());
        self
    }

    /// The schema that the store has for itself; `pve_deploy` by default.
    ///
    /// # Errors
    /// [`SettingsError`] for a name that would have to be quoted.
    pub fn with_schema(mut self, name: &str) -> Result<Self, SettingsError> {
        self.schema = Schema::new(name)?;
        Ok(self)
    }

    /// Listens for notifications at this URL: past a pooler, which gives connections to others between transactions. Its
    /// password is the other's where it has none of its own; so is its TLS.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn with_listen_url(mut self, url: &str) -> Result<Self, SettingsError> {
        let mut listen = Self::parse(url)?.config;
        listen.ssl_mode(self.tls.mode());
        self.listen = Some(listen);
        Ok(self)
    }

    /// Where the listener connects to.
    pub(crate) fn listener(&self) -> Config {
        let mut listen = self.listen.clone().unwrap_or_else(|| self.config.clone());
        if listen.get_password().is_none()
            && let Some(password) = self.config.get_password()
        {
            listen.password(password);
        }
        listen
    }

    /// How workers share what is due.
    #[must_use]
    pub fn with_sharing(mut self, sharing: Sharing) -> Self {
        self.sharing = sharing;
        self
    }

    /// Takes the time from this clock instead of the database's. For tests: where processes have clocks of their own, leases
    /// are only as good as the worst of them.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Reads through this pool: what panels ask then does not share a connection. A pool of a standby's reads what was written a
    /// moment ago, and is refused [`events`](deploy_core::RecordStore::events). Writes never go through it, because a
    /// connection that is given back between two statements cannot say whether a write arrived.
    #[cfg(feature = "deadpool")]
    #[must_use]
    pub fn with_read_pool(mut self, pool: deadpool_postgres::Pool) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Where it is, for people: without the password.
    pub fn place(&self) -> String {
        let hosts = self.config.get_hosts().iter().zip(self.config.get_ports().iter().cycle());
        let named = |host: &Host, port: &u16| match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(path) => path.display().to_string(),
        };
        let mut hosts: Vec<String> = hosts.map(|(host, port)| named(host, port)).collect();
        if hosts.is_empty() {
            hosts = self.config.get_hosts().iter().map(|host| named(host, &5432)).collect();
        }
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        format!("database {database} at {}, schema {}", hosts.join(", "), self.schema.name())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("place", &self.place())
            .field("sharing", &self.sharing)
            .finish_non_exhaustive()
    }
}

/// A URL without what only this store understands.
struct Url {
    plain: String,
    mode: Option<String>,
    ca: Option<String>,
}

fn split(url: &str) -> Result<Url, SettingsError> {
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        let expected = "a URL that begins with \"postgres://\", such as \"postgres://user@host/database\"";
        return Err(SettingsError::new("database", shown(url), expected));
    }
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut kept, mut mode, mut ca) = (Vec::new(), None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = || percent_decode_str(value).decode_utf8_lossy().into_owned();
        match name {
            "sslmode" => mode = Some(decoded()),
            "sslrootcert" => ca = Some(decoded()),
            _ => kept.push(pair),
        }
    }
    let plain = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    Ok(Url { plain, mode, ca })
}

/// A URL that can be shown: everything between the first `:` after the scheme and the last `@` may be a password.
fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = match rest.rsplit_once('@') {
        Some((user, rest)) => format!("{}@{rest}", user.split(':').next().unwrap_or_default()),
        None => rest.to_owned(),
    };
    let shown = if scheme.is_empty() { rest } else { format!("{scheme}://{rest}") };
    match shown.find("password=") {
        Some(at) => format!("{}password=...", &shown[..at]),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for url in [
            "mysql://joe:s3cret@host/db",
            "mysql://joe:s3:cr@et@host/db",
            "mysql://host/db?password=s3cret",
            "postgres://joe:s3cret@host:port/db",
            "postgres://joe:s3cret@host/db?nonsense=1",
            "postgres://host/db?nonsense=1&password=s3cret",
        ] {
            let error = Settings::parse(url).unwrap_err().to_string();
            assert!(!error.contains("s3c") && !error.contains("cr@et"), "{error}");
            assert!(error.contains("host"), "{error}");
        }
        let settings = Settings::parse("postgres://joe:s3cret@host/db").unwrap();
        let shown = format!("{settings:?} {}", settings.place());
        assert!(!shown.contains("s3cret") && shown.contains("host:5432"), "{shown}");
    }

    #[test]
    fn a_wrong_setting_says_what_would_be_right() {
        let expected = |url: &str| Settings::parse(url).unwrap_err();
        let mode = expected("postgres://host/db?sslmode=verify-ca");
        assert_eq!((mode.field.as_str(), mode.value.as_str()), ("sslmode", "verify-ca"));
        assert!(mode.expected.contains("verify-full"), "{mode}");
        assert_eq!(
            expected("postgres://host/db?sslmode=verify-full&sslrootcert=/no/such").field,
            "sslrootcert"
        );
        assert!(expected("host=db").expected.contains("postgres://"));
        let schema = Settings::parse("postgres://host/db").unwrap().with_schema("Pve; DROP").unwrap_err();
        assert!(schema.expected.contains("lower-case"), "{schema}");
    }
}
