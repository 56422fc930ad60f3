//! The built-in templates, in English.

use std::collections::BTreeMap;

/// What all HTML has in common.
pub(crate) const LAYOUT: &str = "layout.html";

const FILES: &[(&str, &str)] = &[
    ("_place.html", include_str!("../../templates/_place.html")),
    ("backup_restored.html", include_str!("../../templates/backup_restored.html")),
    ("backup_restored.txt", include_str!("../../templates/backup_restored.txt")),
    ("layout.html", include_str!("../../templates/layout.html")),
    ("left_behind.html", include_str!("../../templates/left_behind.html")),
    ("left_behind.txt", include_str!("../../templates/left_behind.txt")),
    ("needs_attention.html", include_str!("../../templates/needs_attention.html")),
    ("needs_attention.txt", include_str!("../../templates/needs_attention.txt")),
    ("ready.html", include_str!("../../templates/ready.html")),
    ("ready.txt", include_str!("../../templates/ready.txt")),
    ("suspended.html", include_str!("../../templates/suspended.html")),
    ("suspended.txt", include_str!("../../templates/suspended.txt")),
    ("terminated.html", include_str!("../../templates/terminated.html")),
    ("terminated.txt", include_str!("../../templates/terminated.txt")),
    ("unsuspended.html", include_str!("../../templates/unsuspended.html")),
    ("unsuspended.txt", include_str!("../../templates/unsuspended.txt")),
    ("vanished.html", include_str!("../../templates/vanished.html")),
    ("vanished.txt", include_str!("../../templates/vanished.txt")),
];

/// All of them, by name.
pub(crate) fn files() -> BTreeMap<String, String> {
    FILES.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned())).collect()
}
