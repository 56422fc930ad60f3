//! What is left of a process that had a server, and who may have one.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use throwaway_postgres::{Bouncer, Server, TEST_DATABASE_URL, shared};

/// Tells a process of this binary what to be.
const ROLE: &str = "THROWAWAY_POSTGRES_TEST_ROLE";

/// Not a test of its own: the processes that the tests below start.
#[test]
fn the_other_process() {
    let Ok(role) = env::var(ROLE) else { return };
    let server = shared();
    println!("pid {}", server.pid().map(|pid| pid.to_string()).unwrap_or_default());
    println!("folder {}", server.psql("postgres", "SHOW data_directory").unwrap());
    println!("user {}", server.psql("postgres", "SELECT current_user").unwrap());
    match role.as_str() {
        "ends" => {}
        "waits" => {
            let bouncer = Bouncer::start(server).unwrap();
            println!("bouncer {}", bouncer.url("postgres"));
            std::thread::sleep(Duration::from_secs(3600));
        }
        "creates" => {
            let database = server.fresh_database().unwrap();
            println!("database {}", database.name());
            println!("in {}", database.psql("SELECT current_database()").unwrap());
        }
        other => panic!("{other}"),
    }
}

fn other_process(role: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "the_other_process", "--nocapture"])
        .env(ROLE, role)
        .env_remove(TEST_DATABASE_URL);
    command.stdout(Stdio::piped());
    command
}

/// What the process says, in the order in which it is looked for.
struct Said(Box<dyn Iterator<Item = String>>);

impl Said {
    fn by(child: &mut Child) -> Self {
        Self(Box::new(BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok)))
    }

    fn next(&mut self, what: &str) -> String {
        // The test harness writes its own words on the line of the first.
        let mark = format!("{what} ");
        let line = self.0.find(|line| line.contains(&mark)).unwrap_or_else(|| panic!("{what} was not said"));
        line.split_once(&mark).unwrap().1.to_owned()
    }
}

/// Waits until the server, its folder and everything in it are gone.
fn assert_gone(pid: &str, data: &Path) {
    let folder = data.parent().unwrap();
    assert!(folder.file_name().unwrap().to_str().unwrap().starts_with("throwaway-postgres-"));
    let gone = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        !folder.exists() && running(folder).is_empty()
    });
    assert!(gone, "{pid} in {}: {:?}", folder.display(), running(folder));
}

/// The processes whose command line names `folder`.
fn running(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(folder)).collect()
}

#[test]
fn a_killed_process_leaves_nothing() {
    let mut child = other_process("waits").spawn().unwrap();
    let mut said = Said::by(&mut child);
    let (pid, data) = (said.next("pid"), PathBuf::from(said.next("folder")));
    said.next("bouncer");
    let folder = data.parent().unwrap();
    assert!(data.join("PG_VERSION").exists() && !running(folder).is_empty());
    let bouncers = bouncers_of(folder);
    assert_eq!(bouncers.len(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_gone(&pid, &data);
    assert_gone("the bouncer", &bouncers[0].join("pid"));
}

/// The folders of the bouncers in front of the server in `folder`.
fn bouncers_of(folder: &Path) -> Vec<PathBuf> {
    let others = fs::read_dir(folder.parent().unwrap()).unwrap().flatten().map(|entry| entry.path());
    let mark = format!("{}/socket", folder.display());
    let behind = |path: &PathBuf| {
        fs::read_to_string(path.join("pgbouncer.ini")).is_ok_and(|text| text.contains(&mark))
    };
    others.filter(behind).collect()
}

#[test]
fn a_frozen_server_of_a_killed_process_goes_too() {
    let mut child = other_process("waits").spawn().unwrap();
    let mut said = Said::by(&mut child);
    let (pid, data) = (said.next("pid"), PathBuf::from(said.next("folder")));
    let frozen = Command::new("sh").args(["-c", "kill -s STOP \"$1\"", "sh", &pid]).status().unwrap();
    assert!(frozen.success());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_gone(&pid, &data);
}

#[test]
fn a_process_that_ends_by_itself_leaves_nothing() {
    // The shared server is a static, which nobody drops.
    let mut child = other_process("ends").spawn().unwrap();
    let mut said = Said::by(&mut child);
    let (pid, data) = (said.next("pid"), PathBuf::from(said.next("folder")));
    assert!(child.wait().unwrap().success());
    assert_gone(&pid, &data);
}

#[test]
fn an_ordinary_user_can_have_one() {
    // Where this is root's, the test goes on as nobody, with a copy of this binary that nobody can reach. Elsewhere it is an
    // ordinary user's already, as every other test here.
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = folder.path().join("test");
    fs::copy(env::current_exe().unwrap(), &binary).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&binary);
    command
        .args(["--exact", "the_other_process", "--nocapture"])
        .env(ROLE, "ends")
        .env_remove(TEST_DATABASE_URL);
    command.stdout(Stdio::piped()).current_dir("/");
    let root = fs::metadata("/proc/self").unwrap();
    if std::os::unix::fs::MetadataExt::uid(&root) == 0 {
        command.uid(65534).gid(65534).env_remove("TMPDIR");
    }
    let mut child = command.spawn().unwrap();
    let mut said = Said::by(&mut child);
    let (pid, data) = (said.next("pid"), PathBuf::from(said.next("folder")));
    assert_eq!(said.next("user"), "postgres");
    assert!(child.wait().unwrap().success());
    assert_gone(&pid, &data);
}

#[test]
fn an_odd_folder_for_temporary_files_is_passed_over() {
    let parent = TempDir::new().unwrap();
    let long = parent.path().join("x".repeat(100));
    fs::create_dir(&long).unwrap();
    for odd in [long, parent.path().join("is not there"), "/dev/null".into()] {
        let mut child = other_process("ends").env("TMPDIR", &odd).spawn().unwrap();
        let mut said = Said::by(&mut child);
        let data = said.next("folder");
        assert!(!Path::new(&data).starts_with(&odd), "{data}");
        assert!(child.wait().unwrap().success());
    }
    // And one that is as it should be is used, through which everybody may pass.
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let mut child = other_process("ends").env("TMPDIR", parent.path()).spawn().unwrap();
    let mut said = Said::by(&mut child);
    let data = PathBuf::from(said.next("folder"));
    assert!(data.starts_with(parent.path()), "{}", data.display());
    assert!(child.wait().unwrap().success());
    assert_gone("the server", &data);
}

#[test]
fn a_given_server_is_used_and_left_as_it_was() {
    let server = Server::start().unwrap();
    let databases = || server.psql("postgres", "SELECT datname FROM pg_database ORDER BY 1").unwrap();
    let before = databases();
    let mut child = other_process("creates").env(TEST_DATABASE_URL, server.url("postgres")).spawn().unwrap();
    let mut said = Said::by(&mut child);
    assert_eq!(said.next("pid"), "", "it is not theirs");
    assert_eq!(
        Path::new(&said.next("folder")),
        Path::new(&server.psql("postgres", "SHOW data_directory").unwrap())
    );
    assert_eq!(said.next("database"), said.next("in"));
    assert!(child.wait().unwrap().success());
    assert_eq!(databases(), before);
    let given = Server::given(&server.url("postgres")).unwrap();
    assert!(given.stop_immediately().unwrap_err().to_string().contains("not ours"));
    assert!(Bouncer::start(&given).is_err() && Server::builder().standby_of(&given).is_err());
    drop(given);
    assert_eq!(databases(), before);
}

#[test]
fn a_machine_without_a_server_fails_with_the_line_that_installs_one() {
    let mut command = other_process("ends");
    let output = command.env("PG_BIN", "/nowhere").stderr(Stdio::piped()).output().unwrap();
    assert!(!output.status.success(), "never skipped");
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(told.contains("apt-get install -y postgresql\n") && told.contains("/nowhere"), "{told}");
}
