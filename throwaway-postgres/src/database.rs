use crate::{Server, ServerError, random::random};

/// A database that nobody else uses. On a server that was given by its URL it is dropped with this; a server of ours goes as
/// a whole.
#[derive(Debug)]
pub struct Database<'a> {
    server: &'a Server,
    name: Name,
}

impl<'a> Database<'a> {
    pub(crate) fn create(server: &'a Server) -> Result<Self, ServerError> {
        let name = Name(format!("throwaway_{:016x}", random()));
        server.create(&name)?;
        Ok(Self { server, name })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.server.url(&self.name.0)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name.0
    }

    /// Runs `sql` in it. See [`Server::psql`].
    ///
    /// # Errors
    /// As [`Server::psql`].
    pub fn psql(&self, sql: &str) -> Result<String, ServerError> {
        self.server.psql(&self.name.0, sql)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        if self.server.own().is_err() {
            // Connections might not have noticed yet that their test is over. Nobody could do anything about a failure.
            let _ = self.server.psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name.0));
        }
    }
}

/// The name of a database that means the same in SQL and in a URL, without quotes.
#[derive(Debug)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn parse(name: &str) -> Result<Self, ServerError> {
        let plain =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if plain && name.len() < 64 && name.starts_with(|first: char| first.is_ascii_lowercase()) {
            Ok(Self(name.to_owned()))
        } else {
            Err(ServerError::Unusable(format!(
                "{name:?} is no plain name of a database: a-z, then a-z, 0-9 and _"
            )))
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// `url` with the database replaced by `database`. The database is the path of the URL.
pub(crate) fn with_database(url: &str, database: &str) -> Result<String, ServerError> {
    let (before, query) = url.split_once('?').map_or((url, None), |(before, query)| (before, Some(query)));
    let Some((scheme, rest)) =
        before.split_once("://").filter(|(it, _)| ["postgres", "postgresql"].contains(it))
    else {
        return Err(ServerError::Unusable("the server's URL must be postgres://user@host/database".into()));
    };
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{scheme}://{authority}/{database}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_of_a_url_is_replaced() {
        let with = |url| with_database(url, "b").unwrap();
        assert_eq!(with("postgres://u:p@h:1/a?sslmode=require"), "postgres://u:p@h:1/b?sslmode=require");
        assert_eq!(with("postgresql://h"), "postgresql://h/b");
        assert_eq!(with("postgres://h?user=x/y"), "postgres://h/b?user=x/y");
        assert_eq!(with("postgres:///a?host=/run"), "postgres:///b?host=/run");
        assert!(with_database("mysql://h/a", "b").is_err() && with_database("h/a", "b").is_err());
    }

    #[test]
    fn names_are_plain() {
        assert!(Name::parse("a_1").is_ok());
        for name in ["", "A", "1a", "a-b", "a b", "a\"", &"a".repeat(64)] {
            assert!(Name::parse(name).is_err(), "{name}");
        }
    }
}
