use crate::{
    Facts,
    mail::{defaults, unknown},
};
use deploy_core::NoticeKind;
use minijinja::{AutoEscape, Environment, HtmlEscape, UndefinedBehavior, Value, value::Serde};
use std::{collections::BTreeMap, fmt, fs, io, path::Path, sync::Arc};

/// What mails say: for each kind of notice a text, with a line for the subject, and the same in HTML.
///
/// Templates are written in the language of Jinja, as [minijinja](minijinja::syntax) has it; their variables are the fields of
/// [`Facts`]. What is put into HTML is escaped. A set has these files, and where one of them is not given, the built-in one
/// (in English) is taken:
///
/// | file | what it is |
/// |---|---|
/// | `ready.txt`, `suspended.txt`, ... for each [kind](NoticeKind::name) | the first line is `Subject:` and the subject, then comes the text |
/// | `ready.html`, ... | the HTML; the built-in ones fill the block `body` of `layout.html` |
/// | `layout.html` | what all HTML has in common |
/// | `_anything.txt`, `_anything.html` | parts of your own, for `{% include %}` and `{% extends %}` |
///
/// Everything is looked at when a set is made, and what cannot be right is refused with the template and the line: a template
/// that does not parse, a variable that does not exist, also in a branch that is rarely taken, a filter or an included part that
/// does not exist. Only what depends on [`metadata`](Facts::metadata), whose form is the embedder's own, shows at the delivery;
/// a template that fails there is replaced by the built-in one, with a warning, for a notice is not held back by its looks.
///
/// ```
/// use deploy_notify::Templates;
///
/// let ready = "Subject: {{ name }} is yours\n\nHello {{ metadata.customer }},\nits addresses: {{ addresses | join(', ') }}\n";
/// let templates = Templates::new([("ready.txt", ready)])?;
///
/// let error = Templates::new([("ready.txt", "Subject: {{ name }}\n\nHello {{ custommer }}\n")]).unwrap_err();
/// assert!(error.to_string().starts_with("template ready.txt, line 3: there is no variable custommer"));
/// # Ok::<(), deploy_notify::TemplateError>(())
/// ```
#[derive(Clone)]
pub struct Templates {
    own: Arc<Environment<'static>>,
    built_in: Arc<Environment<'static>>,
}

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template {template}{}: {problem}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct TemplateError {
    /// Its name.
    pub template: String,
    /// The line, from 1 on, where it is known.
    pub line: Option<usize>,
    /// What is wrong, in words.
    pub problem: String,
}

/// What a mail says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    /// One line without control characters.
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

/// The longest subject, in characters: a message of PVE's may be whole paragraphs.
const LONGEST_SUBJECT: usize = 200;

impl Templates {
    /// The built-in templates, with these in the place of those that have their names.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn new<N, S>(files: impl IntoIterator<Item = (N, S)>) -> Result<Self, TemplateError>
    where
        N: Into<String>,
        S: Into<String>,
    {
        let files: BTreeMap<String, String> =
            files.into_iter().map(|(name, source)| (name.into(), source.into())).collect();
        let built_in = Self::default().built_in;
        for name in files.keys() {
            known(name)?;
        }
        let mut all = defaults::files();
        all.extend(files);
        let own = environment(all)?;
        unknown::check(&own)?;
        Ok(Self { own: Arc::new(own), built_in })
    }

    /// The built-in templates, with the files of this folder that end in `.txt` or `.html` in the place of those that have their
    /// names. Blocks: for the start of a program.
    ///
    /// # Errors
    /// [`TemplateError`], also where the folder or a file cannot be read.
    pub fn read(folder: &Path) -> Result<Self, TemplateError> {
        let unreadable = |name: &Path, error: &io::Error| TemplateError {
            template: name.display().to_string(),
            line: None,
            problem: format!("cannot be read: {error}"),
        };
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
            let path = entry.map_err(|error| unreadable(folder, &error))?.path();
            let is_template = path.extension().is_some_and(|it| it == "txt" || it == "html");
            if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| is_template) {
                let source = fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
                files.insert(name.to_owned(), source);
            }
        }
        Self::new(files)
    }

    /// What a mail with these facts says.
    pub(crate) fn words(&self, facts: &Facts) -> Words {
        render(&self.own, facts).unwrap_or_else(|error| {
            tracing::warn!(%error, event = facts.event, "the built-in words are sent instead");
            // That they can say everything is tested; what a newer core adds is told by its name alone.
            render(&self.built_in, facts).unwrap_or_else(|_| Words::bare(facts))
        })
    }
}

impl Default for Templates {
    fn default() -> Self {
        // The built-in ones are tested; where there were none, a mail would say its bare facts.
        let built_in = Arc::new(environment(defaults::files()).unwrap_or_default());
        Self { own: Arc::clone(&built_in), built_in }
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.own.templates().map(|(name, _)| name)).finish()
    }
}

impl Words {
    /// What is said where not even the built-in words can be.
    fn bare(facts: &Facts) -> Self {
        let text = format!("{}: {}\n", facts.reference, facts.kind);
        Self { subject: one_line(&text), html: paragraph(&text), text }
    }

    /// The words of a mail that did not reach `contact`, for whoever is told instead.
    pub(crate) fn undeliverable(&self, contact: &str, why: &str) -> Self {
        let about = format!("This mail could not be delivered to {contact}: {why}");
        Self {
            subject: one_line(&format!("Undeliverable: {}", self.subject)),
            text: format!("{about}\n\n----\nSubject: {}\n\n{}", self.subject, self.text),
            html: format!("{}<hr>\n<pre>{}</pre>\n", paragraph(&about), HtmlEscape(&self.text)),
        }
    }
}

fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", HtmlEscape(text))
}

/// The name of the template that makes the subject of a kind of notice.
pub(crate) fn subject_of(kind: &str) -> String {
    format!("{kind}.subject")
}

fn known(name: &str) -> Result<(), TemplateError> {
    let parts = name.rsplit_once('.').filter(|(_, ending)| ["txt", "html"].contains(ending));
    let is_known = parts.is_some_and(|(stem, _)| {
        stem.starts_with('_') || NoticeKind::ALL.iter().any(|kind| kind.name() == stem)
    });
    if is_known || name == defaults::LAYOUT {
        return Ok(());
    }
    let kinds = NoticeKind::ALL.map(NoticeKind::name).join(", ");
    Err(TemplateError {
        template: name.to_owned(),
        line: None,
        problem: format!(
            "is not a template: there are layout.html, parts of your own (_NAME.txt, _NAME.html), and a .txt and a \
             .html of {kinds}"
        ),
    })
}

/// Compiles all of a set. The first line of a text becomes a template of its own.
fn environment(files: BTreeMap<String, String>) -> Result<Environment<'static>, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| {
        if name.rsplit('.').next() == Some("html") { AutoEscape::Html } else { AutoEscape::None }
    });
    for (name, source) in files {
        let kind = name.strip_suffix(".txt").filter(|stem| !stem.starts_with('_'));
        let source = match kind {
            None => source,
            Some(kind) => {
                let (subject, text) = split(&name, &source)?;
                add(&mut environment, &subject_of(kind), subject.to_owned())?;
                text
            }
        };
        add(&mut environment, &name, source)?;
    }
    Ok(environment)
}

fn add(environment: &mut Environment<'static>, name: &str, source: String) -> Result<(), TemplateError> {
    environment.add_template_owned(name.to_owned(), source).map_err(|error| TemplateError::of(name, &error))
}

/// The subject, and the text with an empty line in the subject's place, so that lines keep their numbers.
fn split<'s>(name: &str, source: &'s str) -> Result<(&'s str, String), TemplateError> {
    let (first, rest) = source.split_once('\n').unwrap_or((source, ""));
    match first.strip_prefix("Subject:") {
        Some(subject) if !subject.trim().is_empty() => Ok((subject.trim(), format!("\n{rest}"))),
        _ => Err(TemplateError {
            template: name.to_owned(),
            line: Some(1),
            problem: "the first line must be \"Subject: \" and the subject".to_owned(),
        }),
    }
}

fn render(environment: &Environment<'_>, facts: &Facts) -> Result<Words, TemplateError> {
    let variables = Value::from(Serde(facts));
    let part = |name: String| {
        let template = environment.get_template(&name);
        let rendered = template.and_then(|template| template.render(variables.clone()));
        rendered.map_err(|error| TemplateError::of(&name, &error))
    };
    Ok(Words {
        subject: one_line(&part(subject_of(facts.kind))?),
        text: part(format!("{}.txt", facts.kind))?.trim_start().to_owned(),
        html: part(format!("{}.html", facts.kind))?,
    })
}

/// In one line: what would begin a header of its own is a blank.
fn one_line(text: &str) -> String {
    let printed: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<&str> = printed.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST_SUBJECT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl TemplateError {
    pub(crate) fn of(name: &str, error: &minijinja::Error) -> Self {
        // An error inside of a part names the part; its place in a text's first line is shown by the text's name.
        let mut innermost = error;
        while let Some(inner) =
            std::error::Error::source(innermost).and_then(|source| source.downcast_ref::<minijinja::Error>())
        {
            innermost = inner;
        }
        let place = innermost.name().unwrap_or(name);
        let detail = innermost.detail().map_or_else(|| innermost.kind().to_string(), ToOwned::to_owned);
        Self { template: shown(place), line: innermost.line(), problem: detail }
    }
}

/// The file that a template came from.
pub(crate) fn shown(name: &str) -> String {
    match name.strip_suffix(".subject") {
        Some(kind) => format!("{kind}.txt"),
        None => name.to_owned(),
    }
}
