//! Notices that arrive: by mail at a real mail server, by webhook at a real web server.
#![allow(clippy::unwrap_used)] // a test that cannot go on should say so at once

mod fixture;
mod mails;
mod receiver;
mod webhooks;
