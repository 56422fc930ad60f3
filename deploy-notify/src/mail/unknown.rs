//! Finds what a template names and nobody knows, before a mail depends on it.

use crate::{
    Facts,
    mail::templates::{TemplateError, shown},
};
use deploy_core::NoticeKind;
use jiff::Timestamp;
use minijinja::{
    Environment, Value,
    value::{Enumerator, Object, ObjectRepr, Serde},
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// What minijinja knows by itself.
const FUNCTIONS: [&str; 4] = ["range", "dict", "namespace", "debug"];

/// Refuses what no notice could ever be told with.
pub(crate) fn check(environment: &Environment<'_>) -> Result<(), TemplateError> {
    let known = variables();
    for (name, template) in environment.templates() {
        // Sorted, so that one and the same is told first each time.
        let mut used: Vec<String> = template.undeclared_variables(true).into_iter().collect();
        used.sort();
        for path in used {
            let (variable, rest) = path.split_once('.').map_or((path.as_str(), ""), |(v, rest)| (v, rest));
            let is_function = FUNCTIONS.contains(&variable) && rest.is_empty();
            // Only the embedder's own data has an inside.
            let is_known =
                known.iter().any(|known| known == variable) && (rest.is_empty() || variable == "metadata");
            if !is_known && !is_function {
                return Err(TemplateError {
                    template: shown(name),
                    line: line_of(template.source(), variable),
                    problem: format!("there is no variable {path}; there are {}", known.join(", ")),
                });
            }
        }
    }
    NoticeKind::ALL.into_iter().try_for_each(|kind| try_out(environment, kind, &known))
}

/// The names of all variables.
fn variables() -> Vec<String> {
    match serde_json::to_value(sample(NoticeKind::Ready, false)) {
        Ok(serde_json::Value::Object(fields)) => fields.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// Makes a mail with all that can be known, and one with as little as possible: filters and included parts are looked up only
/// when they are used.
fn try_out(environment: &Environment<'_>, kind: NoticeKind, known: &[String]) -> Result<(), TemplateError> {
    for full in [true, false] {
        let facts = Value::from(Serde(sample(kind, full)));
        let mut variables = BTreeMap::new();
        for name in known {
            variables.insert(name.clone(), facts.get_attr(name).unwrap_or_default());
        }
        variables.insert("metadata".to_owned(), Value::from_object(Anything));
        let variables = Value::from(variables);
        for ending in ["subject", "txt", "html"] {
            let name = format!("{kind}.{ending}");
            let template = environment.get_template(&name);
            let rendered = template.and_then(|template| template.render(variables.clone()));
            rendered.map_err(|error| TemplateError::of(&name, &error))?;
        }
    }
    Ok(())
}

/// The embedder's own data, of which nothing is known: whatever is asked of it is there.
#[derive(Debug)]
struct Anything;

impl Object for Anything {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from_dyn_object(self.clone()))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Empty
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
}

/// Facts of a notice that nobody sent.
fn sample(kind: NoticeKind, full: bool) -> Facts {
    let said = |text: &str| full.then(|| text.to_owned());
    let has_message = full && kind.is_for_operators();
    Facts {
        event: "1-018f0000-0000-7000-8000-000000000001".to_owned(),
        kind: kind.name(),
        at: Timestamp::UNIX_EPOCH,
        time: "1970-01-01 00:00 UTC".to_owned(),
        reference: "order-1".to_owned(),
        key: "018f0000-0000-7000-8000-000000000001".to_owned(),
        contact: said("ann@example.org"),
        name: said("vps-1.example.net"),
        addresses: if full { vec![[192, 0, 2, 1].into(), [192, 0, 2, 2].into()] } else { Vec::new() },
        user: said("admin"),
        cluster: said("ams1"),
        node: said("pve1"),
        vmid: full.then_some(1000),
        message: has_message.then(|| "something is the matter".to_owned()),
        step: said("clone").filter(|_| kind == NoticeKind::NeedsAttention),
        redeployed: (full && kind == NoticeKind::Vanished).then_some(true),
        backup: said("backups:backup/vzdump-qemu-1000.vma.zst")
            .filter(|_| kind == NoticeKind::BackupRestored),
        metadata: serde_json::Value::Null,
    }
}

/// The first line where a variable stands inside of `{{ }}` or `{% %}`: the engine tells which ones are unknown, not where.
fn line_of(source: &str, variable: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(opened) = source[at..].find("{{").into_iter().chain(source[at..].find("{%")).min() {
        let begin = at + opened + 2;
        let closed = source[begin..].find("}}").into_iter().chain(source[begin..].find("%}")).min();
        let end = closed.map_or(source.len(), |closed| begin + closed);
        if let Some(found) = word(&source[begin..end], variable) {
            return Some(source[..begin + found].matches('\n').count() + 1);
        }
        at = end;
    }
    None
}

/// Where a word stands by itself, and not as the attribute of another.
fn word(text: &str, word: &str) -> Option<usize> {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(|c| part_of_name(c) || c == '.') && !after.is_some_and(part_of_name)
    })
}
