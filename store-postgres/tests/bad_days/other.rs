//! Processes of this binary that are something else than its tests: workers that are killed, frozen, or many.

use crate::rig::PATIENCE;
use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

const ROLE: &str = "STORE_POSTGRES_TEST_ROLE";
const URL: &str = "STORE_POSTGRES_TEST_URL";
const NUMBER: &str = "STORE_POSTGRES_TEST_NUMBER";

/// What comes before everything that such a process says: the test harness writes its own words, also on the same line.
const MARK: &str = "says: ";

/// Whose process this is.
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) number: u32,
}

impl Role {
    /// `None` in a process that runs tests.
    fn of_this_process() -> Option<Self> {
        let number = env::var(NUMBER).ok()?.parse().unwrap();
        Some(Self { name: env::var(ROLE).ok()?, url: env::var(URL).ok()?, number })
    }
}

/// Says a line to the test.
#[allow(clippy::print_stdout)] // that is how
pub(crate) fn say(words: &str) {
    println!("{MARK}{words}");
}

/// Waits for the test's next line.
pub(crate) fn listen() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// Not a test of its own: what the other processes do.
#[tokio::test]
async fn the_other_process() {
    let Some(role) = Role::of_this_process() else { return };
    match role.name.as_str() {
        "wrong clock" => crate::clocks::live(&role).await,
        "frozen" => crate::frozen::live(&role).await,
        "takes addresses" => crate::many::live(&role).await,
        "migrates" => crate::migrate::live(&role).await,
        other => panic!("{other}"),
    }
}

/// Such a process, seen from the test.
pub(crate) struct Other {
    child: Child,
    to: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Other {
    pub(crate) fn start(role: &str, url: &str, number: u32) -> Self {
        Self::start_with(role, url, number, &[])
    }

    /// Starts it with more in its environment.
    pub(crate) fn start_with(role: &str, url: &str, number: u32, more: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "other::the_other_process", "--nocapture"]).envs(more.iter().copied());
        command.env(ROLE, role).env(URL, url).env(NUMBER, number.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let to = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        thread::spawn(move || {
            let said = output.lines().map_while(Result::ok);
            for words in said.filter_map(|line| Some(line.split_once(MARK)?.1.to_owned())) {
                let _ = send.send(words);
            }
        });
        Self { child, to, lines }
    }

    /// Its next line. Blocks.
    pub(crate) fn said(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the other process says something")
    }

    pub(crate) fn tell(&mut self, words: &str) {
        writeln!(self.to.as_mut().unwrap(), "{words}").unwrap();
    }

    /// Has it stand still, all of it: the signal alone says nothing yet about its other threads.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
        let tasks = format!("/proc/{}/task", self.child.id());
        let stands_still = |task: fs::DirEntry| {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            status.contains("State:\tT")
        };
        while !fs::read_dir(&tasks).unwrap().flatten().all(stands_still) {
            thread::yield_now();
        }
    }

    /// Lets it go on.
    pub(crate) fn wake(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let kill = Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid]).status();
        assert!(kill.unwrap().success());
    }

    /// Waits until it has ended well, and gives what else it said.
    pub(crate) fn ended(mut self) -> Vec<String> {
        self.to.take();
        let said = self.lines.iter().collect();
        assert!(self.child.wait().unwrap().success(), "{said:?}");
        said
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It has ended by itself, where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
