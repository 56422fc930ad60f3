//! A server that gives prepared answers, one after the other, and keeps what it was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// An answer: status, further headers, body.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: &'static str,
    pub(crate) body: String,
}

/// The server. Whatever it is asked once its answers are used up is answered with 500.
pub(crate) struct Replay {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
    left: Arc<Mutex<VecDeque<Answer>>>,
}

/// An answer that says success.
pub(crate) fn ok(result: &str) -> Answer {
    let body = format!("{{\"success\":true,\"errors\":[],\"messages\":[],\"result\":{result}}}");
    Answer { status: 200, headers: "", body }
}

/// One page of a list.
pub(crate) fn page(results: &[String], page: u32, pages: u32) -> Answer {
    let (count, results) = (results.len(), results.join(","));
    let body = format!(
        "{{\"success\":true,\"errors\":[],\"messages\":[],\"result\":[{results}],\"result_info\":{{\"page\":{page},\
         \"per_page\":100,\"count\":{count},\"total_count\":{count},\"total_pages\":{pages}}}}}"
    );
    Answer { status: 200, headers: "", body }
}

/// An answer that says failure.
pub(crate) fn failed(status: u16, code: u64, message: &str) -> Answer {
    let body = format!(
        "{{\"success\":false,\"errors\":[{{\"code\":{code},\"message\":\"{message}\"}}],\"messages\":[],\"result\":null}}"
    );
    Answer { status, headers: "", body }
}

impl Replay {
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/client/v4", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let left = Arc::new(Mutex::new(answers.into_iter().collect::<VecDeque<_>>()));
        let (heard, answers) = (Arc::clone(&asked), Arc::clone(&left));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&heard), Arc::clone(&answers)));
            }
        });
        Self { url, asked, left }
    }

    /// What it was asked: "METHOD PATH BODY" each.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// How many answers nobody asked for.
    pub(crate) fn left(&self) -> usize {
        self.left.lock().unwrap().len()
    }
}

async fn serve(stream: TcpStream, asked: Arc<Mutex<Vec<String>>>, answers: Arc<Mutex<VecDeque<Answer>>>) {
    let mut stream = BufReader::new(stream);
    while let Some((line, authorization)) = request(&mut stream).await {
        asked.lock().unwrap().push(line);
        let next = answers.lock().unwrap().pop_front();
        let mut answer = next.unwrap_or_else(|| failed(500, 0, "nothing more was prepared"));
        if authorization != "Bearer t0ken" {
            answer = failed(403, 9109, "Invalid access token");
        }
        let Answer { status, headers, body } = answer;
        let text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len());
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads a request.
async fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let (mut first, mut length, mut authorization) = (String::new(), 0, String::new());
    stream.read_line(&mut first).await.ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => value.trim().clone_into(&mut authorization),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let path = path.strip_prefix("/client/v4").unwrap_or(path);
    let body = String::from_utf8(body).ok()?;
    Some((format!("{method} {path} {body}").trim_end().to_owned(), authorization))
}
