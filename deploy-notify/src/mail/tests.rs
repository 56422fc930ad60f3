use super::templates::{TemplateError, Templates, Words};
use crate::Facts;
use deploy_core::{Attention, Notice, NoticeKind, QueuedNotice, Step};
use deploy_testkit::sample;

/// One notice of each kind.
fn all() -> Vec<Notice> {
    let attention = Attention { since: sample::epoch(), step: Step::Clone, message: "full".to_owned() };
    let notices = vec![
        Notice::Ready,
        Notice::NeedsAttention(attention),
        Notice::Vanished { message: "gone".to_owned(), redeployed: false },
        Notice::LeftBehind { message: "free it".to_owned() },
        Notice::Suspended,
        Notice::Unsuspended,
        Notice::BackupRestored { backup: "nfs:backup/one.vma".to_owned() },
        Notice::Terminated { addresses: vec![sample::parsed("192.0.2.1")] },
    ];
    assert_eq!(notices.iter().map(Notice::kind).collect::<Vec<_>>(), NoticeKind::ALL);
    notices
}

fn facts(notice: Notice, known: bool) -> Facts {
    let record = sample::order_of(1, sample::full_spec()).numbered(sample::vmid(1000)).unwrap();
    let queued = QueuedNotice {
        id: deploy_core::NoticeId(1),
        key: record.key,
        external_ref: record.external_ref.clone(),
        contact: None,
        at: sample::epoch(),
        notice,
    };
    Facts::of(&queued, known.then_some(&record))
}

fn words_of(templates: &Templates) -> Words {
    templates.words(&facts(Notice::Ready, true))
}

#[track_caller]
fn refused(files: &[(&str, &str)]) -> (String, Option<usize>, String) {
    let TemplateError { template, line, problem } = Templates::new(files.iter().copied()).unwrap_err();
    (template, line, problem)
}

#[test]
fn the_built_in_words_say_every_notice_also_of_a_machine_that_nobody_knows() {
    for known in [true, false] {
        for notice in all() {
            let kind = notice.kind();
            let words = Templates::default().words(&facts(notice, known));
            assert!(!words.subject.is_empty() && !words.subject.contains("none"), "{kind}: {words:?}");
            for part in [&words.text, &words.html] {
                assert!(!part.contains("none") && !part.contains("{{"), "{kind}: {part}");
                assert!(
                    part.contains(if known { "order-1-1000-node2" } else { "order-1" }),
                    "{kind}: {part}"
                );
            }
            assert!(words.html.starts_with("<!DOCTYPE html>") && words.html.contains("</html>"), "{kind}");
            // Not the bare facts, which are for what nobody has words for.
            assert_ne!(words.subject, format!("order-1: {kind}"));
        }
    }
}

#[test]
fn what_is_given_replaces_what_is_built_in_and_nothing_else() {
    let own = Templates::new([
        ("ready.txt", "Subject: Fertig: {{ name }}\n\n{% include '_hello.txt' %}{{ addresses | length }}\n"),
        ("_hello.txt", "Hallo {{ metadata.customer }}! "),
        ("layout.html", "<html><h1>{{ reference }}</h1>{% block body %}{% endblock %}</html>"),
    ])
    .unwrap();
    let words = words_of(&own);
    assert_eq!(words.subject, "Fertig: order-1-1000-node2.pve.example.net");
    assert_eq!(words.text, "Hallo 1! 0");
    assert!(words.html.starts_with("<html><h1>order-1</h1>"), "{}", words.html);
    let suspended = own.words(&facts(Notice::Suspended, true));
    assert!(suspended.subject.ends_with("is suspended"), "{}", suspended.subject);
    assert!(suspended.html.starts_with("<html><h1>"), "{}", suspended.html);
}

#[test]
fn a_template_that_cannot_be_right_is_refused_by_name_and_line() {
    let text = |body: &str| format!("Subject: ready\n\n{body}");
    let (template, line, problem) = refused(&[("ready.txt", &text("a\n{{ nmae }}"))]);
    assert_eq!((template.as_str(), line), ("ready.txt", Some(4)));
    assert!(
        problem.starts_with("there is no variable nmae; there are addresses, at, backup, cluster, contact,"),
        "{problem}"
    );
    // In a branch that no notice takes, too, and in a subject.
    let never = text("{% if kind == 'never' %}\n{{ name }} {{ custommer }}\n{% endif %}");
    assert_eq!(refused(&[("ready.txt", &never)]).1, Some(4));
    assert_eq!(refused(&[("ready.txt", "Subject: {{ titel }}\n\n")]).1, Some(1));
    // Of a variable that has no inside, and in a part that others include.
    let inside = refused(&[("ready.html", "<p>\n{{ name.first }}")]);
    assert_eq!((inside.0.as_str(), inside.1), ("ready.html", Some(2)));
    assert!(inside.2.starts_with("there is no variable name.first"), "{}", inside.2);
    let part = refused(&[("_foot.txt", "\n\n{{ sender }}")]);
    assert_eq!((part.0.as_str(), part.1), ("_foot.txt", Some(3)));
}

#[test]
fn a_template_that_does_not_parse_or_run_is_refused_by_name_and_line() {
    let syntax = refused(&[("ready.html", "<p>\n\n{% if name %}\n</p>")]);
    assert_eq!((syntax.0.as_str(), syntax.1.is_some()), ("ready.html", true), "{}", syntax.2);
    let open = refused(&[("ready.txt", "Subject: x\n\n{{ name")]);
    assert_eq!((open.0.as_str(), open.1), ("ready.txt", Some(3)));
    let filter = refused(&[("ready.txt", "Subject: x\n\n\n{{ name | shout }}")]);
    assert_eq!((filter.0.as_str(), filter.1), ("ready.txt", Some(4)));
    assert!(filter.2.contains("shout"), "{}", filter.2);
    let part = refused(&[("ready.txt", "Subject: x\n\n{% include '_none.txt' %}")]);
    assert_eq!(part.0, "ready.txt");
    assert!(part.2.contains("_none.txt"), "{}", part.2);
    for no_subject in ["Hello\n", "Subject:\n\nHello\n", ""] {
        let (template, line, problem) = refused(&[("ready.txt", no_subject)]);
        assert_eq!((template.as_str(), line), ("ready.txt", Some(1)));
        assert!(problem.contains("Subject: "), "{problem}");
    }
    for name in ["redy.txt", "ready.md", "ready", "layout.txt"] {
        let (template, _, problem) = refused(&[(name, "Subject: x\n\n")]);
        assert_eq!(template, name);
        assert!(problem.contains("layout.html") && problem.contains("backup_restored"), "{problem}");
    }
}

#[test]
fn what_depends_on_the_embedders_data_and_fails_gives_way_to_the_built_in_words() {
    // The sample's data has neither a list nor a number of this name; only a delivery can know.
    let own = Templates::new([("ready.txt", "Subject: mine\n\n{{ metadata.invoice.number }}\n")]).unwrap();
    let words = words_of(&own);
    assert_eq!(words.subject, "order-1-1000-node2.pve.example.net is ready");
    assert!(words.text.starts_with("Your machine"), "{}", words.text);
    let asked =
        "Subject: mine\n\n{% if metadata.invoice is defined %}{{ metadata.invoice.number }}{% endif %}.\n";
    assert_eq!(words_of(&Templates::new([("ready.txt", asked)]).unwrap()).subject, "mine");
}

#[test]
fn a_subject_is_one_line_of_bearable_length() {
    let message = format!("one\r\ntwo\tthree \u{7} {}", "ä".repeat(500));
    let attention = Attention { since: sample::epoch(), step: Step::Clone, message };
    let own = Templates::new([("needs_attention.txt", "Subject: {{ message }}\n\n")]).unwrap();
    let subject = own.words(&facts(Notice::NeedsAttention(attention), true)).subject;
    assert!(subject.starts_with("one two three ä"), "{subject}");
    assert!(subject.ends_with("ä…") && subject.chars().count() == 201, "{subject}");
}

#[test]
fn a_folder_is_read_and_what_else_is_in_it_is_not() {
    let folder = tempfile::TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("ready.txt", "Subject: from a file\n\nHello\n");
    write("README.md", "{{ nothing of ours");
    write("ready.txt~", "{{");
    assert_eq!(words_of(&Templates::read(folder.path()).unwrap()).subject, "from a file");
    write("ready.html", "\n{{ nothing }}");
    let error = Templates::read(folder.path()).unwrap_err();
    assert!(
        error.to_string().starts_with("template ready.html, line 2: there is no variable nothing"),
        "{error}"
    );
    let missing = Templates::read(&folder.path().join("none")).unwrap_err().to_string();
    assert!(missing.contains("none: cannot be read"), "{missing}");
}
