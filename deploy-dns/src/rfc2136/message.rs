//! What is asked, and what answers mean.

use crate::{DnsError, Standing, StandingData};
use deploy_core::{DnsName, ErrorClass};
use hickory_proto::{
    op::{Message, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType, rdata::tsig::TsigError},
};

/// An update of a zone (RFC 2136, 2).
pub(super) struct Update {
    pub(super) zone: DnsName,
    prerequisites: Vec<Record>,
    changes: Vec<Record>,
}

impl Update {
    pub(super) fn of(zone: &DnsName) -> Self {
        Self { zone: zone.clone(), prerequisites: Vec::new(), changes: Vec::new() }
    }

    /// Only if the records of this type at the name are exactly these (2.4.2), or there are none (2.4.3).
    pub(super) fn require(&mut self, name: &DnsName, kind: RecordType, exactly: Vec<RData>) {
        if exactly.is_empty() {
            let mut none = Record::update0(name_of(name), 0, kind);
            none.dns_class = DNSClass::NONE;
            self.prerequisites.push(none);
        }
        let record = |data| Record::from_rdata(name_of(name), 0, data);
        self.prerequisites.extend(exactly.into_iter().map(record));
    }

    /// Adds a record (2.5.1); one that is there gets this time to live.
    pub(super) fn add(&mut self, name: &DnsName, ttl: u32, data: RData) {
        self.changes.push(Record::from_rdata(name_of(name), ttl, data));
    }

    /// Takes exactly this record away (2.5.4).
    pub(super) fn remove(&mut self, name: &DnsName, data: RData) {
        let mut record = Record::from_rdata(name_of(name), 0, data);
        record.dns_class = DNSClass::NONE;
        self.changes.push(record);
    }

    pub(super) fn message(self) -> Message {
        let mut zone = Query::query(name_of(&self.zone), RecordType::SOA);
        zone.set_query_class(DNSClass::IN);
        let mut message = Message::query();
        message.metadata.op_code = OpCode::Update;
        message.metadata.recursion_desired = false;
        message.add_query(zone);
        message.add_answers(self.prerequisites);
        message.add_authorities(self.changes);
        message
    }
}

/// A question to an authority.
pub(super) fn query(name: &DnsName, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(name_of(name), kind));
    message
}

/// A name as messages have it.
pub(super) fn name_of(name: &DnsName) -> Name {
    // Labels of letters, digits and hyphens, none longer than 63: every such name is one.
    let mut parsed = Name::from_ascii(name.as_str()).unwrap_or_else(|_| Name::root());
    parsed.set_fqdn(true);
    parsed
}

/// What became of an update.
pub(super) fn outcome(answer: &Message, zone: &DnsName) -> Result<(), DnsError> {
    let error = |class, message: String| Err(DnsError::answered(class, message));
    match answer.metadata.response_code {
        ResponseCode::NoError => Ok(()),
        ResponseCode::YXDomain | ResponseCode::YXRRSet | ResponseCode::NXRRSet | ResponseCode::NXDomain => {
            error(
                ErrorClass::Busy,
                format!("zone {zone}: the name was changed by somebody else just now; it is looked at again"),
            )
        }
        ResponseCode::NotAuth => error(not_auth(answer), words_of_not_auth(answer, zone)),
        ResponseCode::Refused => error(
            ErrorClass::Unauthorized,
            format!(
                "the server refuses updates of zone {zone} by this key (BIND: allow-update or update-policy of the zone)"
            ),
        ),
        ResponseCode::NotZone => {
            error(ErrorClass::Refused, format!("the server says that a name is not in zone {zone}"))
        }
        ResponseCode::NotImp => {
            error(ErrorClass::Refused, format!("the server takes no updates of zone {zone} at all"))
        }
        ResponseCode::ServFail => error(
            ErrorClass::Failed,
            format!("the server failed to update zone {zone} (can it write the zone's file and journal?)"),
        ),
        code => error(ErrorClass::Failed, format!("zone {zone}: the server answers {code}")),
    }
}

/// An answer says so both of keys and of zones; one about keys carries a signature that says what is wrong.
fn not_auth(answer: &Message) -> ErrorClass {
    if answer.signature().is_some_and(|signature| signature.data.error.is_some()) {
        ErrorClass::Unauthorized
    } else {
        ErrorClass::Refused
    }
}

fn words_of_not_auth(answer: &Message, zone: &DnsName) -> String {
    match answer.signature().and_then(|signature| signature.data.error) {
        Some(TsigError::BadKey) => "the server has no key of this name and algorithm".to_owned(),
        Some(TsigError::BadSig) => "the server has another secret for the key of this name".to_owned(),
        Some(TsigError::BadTime) => {
            "the server's clock and ours differ by more than five minutes; set one of them".to_owned()
        }
        Some(other) => format!("the server does not take the key's signature ({other:?})"),
        None => format!("the server is not the primary of zone {zone}, or does not have it at all"),
    }
}

/// What stands at a name, by an authority's answer.
pub(super) fn standing(answer: &Message, zone: &DnsName, name: &DnsName) -> Result<Vec<Standing>, DnsError> {
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain if answer.metadata.authoritative => {}
        ResponseCode::NoError | ResponseCode::NXDomain => {
            let message = format!("the server is not an authority for zone {zone}");
            return Err(DnsError::answered(ErrorClass::Refused, message));
        }
        ResponseCode::NotAuth => {
            return Err(DnsError::answered(not_auth(answer), words_of_not_auth(answer, zone)));
        }
        ResponseCode::Refused => {
            let message =
                format!("the server refuses queries about zone {zone} (has it the zone? BIND: allow-query)");
            return Err(DnsError::answered(ErrorClass::Unauthorized, message));
        }
        code => {
            let message = format!("zone {zone}: the server answers a query with {code}");
            return Err(DnsError::answered(ErrorClass::Failed, message));
        }
    }
    let here = name_of(name);
    let at_name = answer.answers.iter().filter(|record| record.name == here);
    Ok(at_name
        .map(|record| Standing {
            data: StandingData::read(&record.record_type().to_string(), &record.data.to_string()),
            ttl: record.ttl,
        })
        .collect())
}
