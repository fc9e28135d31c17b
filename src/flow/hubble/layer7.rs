//! Requests and responses that a proxy saw (`flow-formats.md` 1.6). The monitor
//! writes the same objects with capitals, and URLs in parts (3.5).

use std::net::IpAddr;

use serde::Deserialize;

use super::value::Text;
use crate::flow::Request;

/// `l7` of a Hubble record.
#[derive(Deserialize, Default)]
pub(super) struct Layer7<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    http: Option<Http<'a>>,
    #[serde(borrow)]
    dns: Option<Dns<'a>>,
}

impl<'a> Layer7<'a> {
    /// Reads the object; what does not fit is taken as empty.
    pub(super) fn read(raw: &'a str) -> Self {
        serde_json::from_str(raw).unwrap_or_default()
    }

    /// Whether it is the answer, not the question.
    pub(super) fn is_response(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| kind == "RESPONSE")
    }

    /// What was asked.
    pub(super) fn request(&self) -> Request {
        request(self.http.as_ref(), self.dns.as_ref())
    }

    /// The addresses that a DNS answer gives, each with the name that was asked for.
    pub(super) fn answers(&self) -> Vec<(IpAddr, Box<str>)> {
        self.dns.as_ref().map_or_else(Vec::new, Dns::answers)
    }
}

/// What was asked, by the object that tells it.
pub(crate) fn request(http: Option<&Http<'_>>, dns: Option<&Dns<'_>>) -> Request {
    match (http, dns) {
        (Some(http), _) => http.request(),
        (None, Some(dns)) => Request::dns(dns.query.as_deref().unwrap_or_default()),
        (None, None) => Request::Other,
    }
}

/// HTTP.
#[derive(Deserialize)]
pub(crate) struct Http<'a> {
    #[serde(borrow, alias = "Method")]
    method: Option<Text<'a>>,
    #[serde(borrow, alias = "URL")]
    url: Option<Url<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Url<'a> {
    #[serde(borrow)]
    Whole(Text<'a>),
    Parts {
        #[serde(borrow, default, rename = "Host")]
        host: Text<'a>,
        #[serde(borrow, default, rename = "Path")]
        path: Text<'a>,
        #[serde(borrow, default, rename = "RawQuery")]
        query: Text<'a>,
    },
}

impl Http<'_> {
    fn request(&self) -> Request {
        let method = self.method.as_deref().unwrap_or_default();
        match &self.url {
            None => Request::http(method, ""),
            Some(Url::Whole(url)) => Request::http(method, url),
            Some(Url::Parts { host, path, query }) => {
                let mark = if query.is_empty() { "" } else { "?" };
                Request::http(method, &format!("http://{}{}{mark}{}", &**host, &**path, &**query))
            }
        }
    }
}

/// DNS.
#[derive(Deserialize)]
pub(crate) struct Dns<'a> {
    #[serde(borrow, alias = "Query")]
    query: Option<Text<'a>>,
    #[serde(borrow, alias = "IPs")]
    ips: Option<Vec<Text<'a>>>,
}

impl Dns<'_> {
    /// The addresses that an answer gives, each with the name that was asked for.
    pub(crate) fn answers(&self) -> Vec<(IpAddr, Box<str>)> {
        let Self { query: Some(query), ips: Some(ips) } = self else { return Vec::new() };
        let name = query.trim_end_matches('.');
        ips.iter().filter_map(|ip| Some((ip.parse().ok()?, name.into()))).collect()
    }
}
