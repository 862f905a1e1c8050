//! Who may connect, and with which wishes.
//!
//! Owns the decisions about one CONNECT; reading it and answering it is `handshake`.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use crate::message::{Message, MessageIds, Publisher, QoS, now_millis};
use crate::mqtt::codec::{self, Connect, ReasonCode, Version, Violation, Will};
use crate::mqtt::settings::Settings;
use crate::mqtt::subscriptions::levels;

/// Credentials could not be checked in time.
pub(super) const TOO_BUSY: Violation = Violation::new(
    ReasonCode::ServerBusy,
    "too many clients connect at the same time to check all credentials: try again later",
);

/// Refuses what is not offered, rather than doing less than was asked for without a word.
pub(super) fn check_offer(connect: &Connect, settings: &Settings) -> Result<(), Violation> {
    if connect.enhanced_authentication {
        return Err(Violation::new(
            ReasonCode::BadAuthenticationMethod,
            "enhanced authentication is not supported: use user name and password",
        ));
    }
    // A 5.0 client learns from Session Expiry Interval 0 that its session ends with the connection; 3.1.1 cannot say so.
    if connect.version == Version::V311 && !connect.clean_start {
        return Err(Violation::new(
            ReasonCode::ClientIdentifierNotValid,
            "persistent sessions are not supported: connect with Clean Session",
        ));
    }
    let Some(will) = &connect.will else { return Ok(()) };
    if will.retain {
        return Err(Violation::new(
            ReasonCode::RetainNotSupported,
            "retained messages are not supported: connect without Will Retain",
        ));
    }
    if will.offered_qos().is_none() {
        return Err(Violation::new(
            ReasonCode::QosNotSupported,
            "QoS 2 is not supported: connect with Will QoS 0 or 1",
        ));
    }
    if will.topic.starts_with('$') || levels(&will.topic) > settings.max_topic_levels {
        return Err(Violation::new(
            ReasonCode::TopicNameInvalid,
            "the will's topic is not accepted: it begins with $ or has too many levels",
        ));
    }
    let format = will.properties.as_ref().and_then(|properties| properties.payload_format);
    if !codec::payload_matches_format(format, &will.payload) {
        return Err(Violation::new(
            ReasonCode::PayloadFormatInvalid,
            "the will's payload is not the UTF-8 text that its Payload Format Indicator says",
        ));
    }
    Ok(())
}

pub(super) async fn authenticate(connect: &Connect, settings: &Settings) -> Result<(), Violation> {
    let Some(username) = &connect.username else {
        return if settings.anonymous {
            Ok(())
        } else {
            Err(Violation::new(
                ReasonCode::NotAuthorized,
                "anonymous clients are not allowed: give user name and password",
            ))
        };
    };
    let known = match &settings.users {
        Some(users) => users.verify(username, connect.password.clone().unwrap_or_default()).await,
        None => settings.anonymous,
    };
    if known { Ok(()) } else { Err(Violation::new(ReasonCode::BadUserNameOrPassword, "wrong user name or password")) }
}

pub(super) fn assign_client_id(number: u32) -> ByteString {
    format!("isthmus-{:016x}{number:08x}", fastrand::u64(..)).into()
}

pub(super) fn copy(text: &ByteString) -> ByteString {
    ByteString::from(&**text)
}

/// Its own bytes: it stays as long as the client is connected.
pub(super) fn will_message(will: Will, publisher: &Arc<Publisher>) -> Message {
    let qos = will.offered_qos().unwrap_or(QoS::AtMostOnce);
    let properties = will.properties.map(|mut properties| {
        properties.content_type = properties.content_type.as_ref().map(copy);
        properties.response_topic = properties.response_topic.as_ref().map(copy);
        properties.correlation_data = properties.correlation_data.as_deref().map(Bytes::copy_from_slice);
        for (name, value) in &mut properties.user_properties {
            (*name, *value) = (copy(name), copy(value));
        }
        Arc::new(properties)
    });
    let now = now_millis();
    Message {
        // Replaced when it is published: only then is it a message.
        id: MessageIds::new().next(now),
        topic: copy(&will.topic),
        payload: Bytes::copy_from_slice(&will.payload),
        qos,
        dup: false,
        retain: false,
        publisher: Arc::clone(publisher),
        properties,
        received_at: now,
    }
}
