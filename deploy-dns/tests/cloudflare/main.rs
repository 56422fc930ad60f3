//! Cloudflare, against a server that answers as the API's documentation says
//! (<https://developers.cloudflare.com/api/resources/dns/subresources/records/>): envelopes, codes of errors, pages and the limit of
//! requests are taken from there. Nothing here was recorded from the real one, for which a domain would be needed.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod cases;
mod replay;
