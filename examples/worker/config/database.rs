//! The database of the worker's file.

use examples::{access, database::Database, input::Problem};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use store_postgres::{Settings, SettingsError, Sharing};
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Postgres {
    password_file: Option<Spanned<PathBuf>>,
    listen: Option<Spanned<String>>,
    schema: Option<Spanned<String>>,
    #[serde(default)]
    sharing: SharingTable,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum SharingTable {
    #[default]
    Equal,
    Greedy,
}

/// The database that is named: a URL, or the path of a file.
pub(super) fn database(
    named: &Spanned<String>,
    postgres: Option<&Spanned<Postgres>>,
    beside: &dyn Fn(&Path) -> PathBuf,
) -> Result<Database, Problem> {
    let text = named.get_ref();
    if text.contains("://") {
        let settings = Settings::parse(text).map_err(|error| wrong(named, &error))?;
        let settings = match postgres {
            Some(table) => {
                table.get_ref().apply(settings, beside).map_err(|problem| problem.under("postgres"))?
            }
            None => settings,
        };
        return Ok(Database::Postgres(Box::new(settings)));
    }
    match postgres {
        None => Ok(Database::Sqlite(beside(Path::new(text)))),
        Some(table) => {
            let message = format!(
                "postgres: the database is a file ({text}), with SQLite; write database = \"postgres://...\", or leave \
                 the table out"
            );
            Err(Problem::new(table.span(), message))
        }
    }
}

impl Postgres {
    fn apply(&self, mut settings: Settings, beside: &dyn Fn(&Path) -> PathBuf) -> Result<Settings, Problem> {
        if let Some(file) = &self.password_file {
            let password = access::secret(&beside(file.get_ref()))
                .map_err(|error| Problem::new(file.span(), format!("password_file: {error:#}")))?;
            settings = settings.with_password(&password);
        }
        // After the password, which is this one's too.
        if let Some(url) = &self.listen {
            settings = settings.with_listen_url(url.get_ref()).map_err(|error| {
                Problem::new(url.span(), SettingsError { field: "listen".to_owned(), ..error })
            })?;
        }
        if let Some(schema) = &self.schema {
            settings = settings.with_schema(schema.get_ref()).map_err(|error| wrong(schema, &error))?;
        }
        Ok(settings.with_sharing(match self.sharing {
            SharingTable::Equal => Sharing::Equal,
            SharingTable::Greedy => Sharing::Greedy,
        }))
    }
}

fn wrong<T>(place: &Spanned<T>, error: &SettingsError) -> Problem {
    Problem::new(place.span(), error)
}
