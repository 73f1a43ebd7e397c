//! What was heard on a connection, from its record.

use super::{DecodeError, first, sock, task};
use crate::{
    event::{AppProtocol, Spoken},
    input::Heard,
};
use tracer_abi::{Protocol, SPOKEN_INFERRED, SPOKEN_SNI_CUT};

pub(super) fn heard(record: &tracer_abi::Spoken) -> Result<Heard, DecodeError> {
    let sni = first(&record.sni, record.sni_len);
    let sni = std::str::from_utf8(sni).ok().filter(|name| is_host(name)).map(str::to_owned);
    let protocol = u8::try_from(record.protocol).map_or(Protocol::UNKNOWN, Protocol);
    Ok(Heard {
        task: task(&record.header),
        fd: record.fd,
        sock: sock(&record.sock).ok_or(DecodeError::Short)?,
        spoken: Spoken {
            protocol: match protocol {
                Protocol::HTTP1 => AppProtocol::Http1,
                Protocol::HTTP2 => AppProtocol::Http2,
                Protocol::WEBSOCKET => AppProtocol::Websocket,
                Protocol::TLS => AppProtocol::Tls,
                Protocol::REDIS => AppProtocol::Redis,
                Protocol::POSTGRESQL => AppProtocol::Postgresql,
                _ => AppProtocol::Unknown,
            },
            inferred: record.flags & SPOKEN_INFERRED != 0,
            sni_cut: sni.is_some() && record.flags & SPOKEN_SNI_CUT != 0,
            sni,
        },
    })
}

/// Whether a text is a host's name as a client may ask for it: ASCII, no address of IPv6 (RFC 6066, section 3). What is none
/// is not shown.
fn is_host(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}
