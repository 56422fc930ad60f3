//! What it refuses before anything is done.

use crate::desk::Desk;

#[test]
fn wrong_input_is_told_and_creates_nothing() {
    for (file, from, to, expected) in [
        ("worker.toml", "turns = 64", "turns = -1", "worker.toml:"),
        ("worker.toml", "orders = \"machines.toml\"", "orders = \"none.toml\"", "none.toml cannot be read"),
        (
            "worker.toml",
            "token_file = \"token\"",
            "token_file = \"none\"",
            "cluster[0] (demo): access: token_file: ",
        ),
        ("worker.toml", "\"https://127.0.0.1:1\"", "", "cluster[0] (demo): access: urls: "),
        ("machines.toml", "vlan = 120\nrate", "vlan = 5000\nrate", "a VLAN tag from 1 to 4094"),
        (
            "machines.toml",
            "cores = 1",
            "cores = 1\ncluster = \"dmeo\"",
            "cluster: \"dmeo\" is not defined; defined: demo",
        ),
        (
            "machines.toml",
            "[packages.small]",
            "[cluster]\nname = \"demo\"\n[packages.small]",
            "machines.toml:",
        ),
    ] {
        let desk = Desk::new();
        desk.change(file, from, to);
        desk.refused(2, expected);
        assert!(!desk.has_database(), "{to}");
    }
}
