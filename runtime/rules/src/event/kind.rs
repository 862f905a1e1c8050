//! The kinds of events and their names: in the `event` column, in FROM, and in FROM as older rules write it.

macro_rules! kinds {
    ($($variant:ident $event:literal $topic:literal $legacy:expr, $doc:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventKind {
            $(#[doc = $doc] $variant),*
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The text of the `event` column.
            pub const fn event_name(self) -> &'static str {
                match self { $(Self::$variant => $event),* }
            }

            /// The name in FROM; empty for the kinds that are selected by MQTT topic or by Source.
            pub const fn topic(self) -> &'static str {
                match self { $(Self::$variant => $topic),* }
            }

            /// The older name in FROM, still valid.
            pub const fn legacy_topic(self) -> Option<&'static str> {
                match self { $(Self::$variant => $legacy),* }
            }

            /// When it happens, one line.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $doc),* }
            }
        }
    };
}

kinds! {
    MessagePublish "message.publish" "" None, "A client, or a rule, published a message.";
    MessageDelivered "message.delivered" "$events/message/delivered" Some("$events/message_delivered"), "A message was handed to a subscriber.";
    MessageAcked "message.acked" "$events/message/acked" Some("$events/message_acked"), "A subscriber acknowledged a message.";
    MessageDropped "message.dropped" "$events/message/dropped" Some("$events/message_dropped"), "A message was dropped before routing.";
    DeliveryDropped "delivery.dropped" "$events/message/delivery_dropped" Some("$events/delivery_dropped"), "A message was not delivered to one subscriber.";
    ClientConnected "client.connected" "$events/client/connected" Some("$events/client_connected"), "A client connected.";
    ClientDisconnected "client.disconnected" "$events/client/disconnected" Some("$events/client_disconnected"), "A client disconnected.";
    ClientConnack "client.connack" "$events/client/connack" Some("$events/client_connack"), "A CONNACK was sent, whatever its code.";
    ClientPing "client.ping" "$events/client/ping" None, "A client sent a PINGREQ.";
    CheckAuthzComplete "client.check_authz_complete" "$events/auth/check_authz_complete" Some("$events/client_check_authz_complete"), "An authorization was decided.";
    CheckAuthnComplete "client.check_authn_complete" "$events/auth/check_authn_complete" Some("$events/client_check_authn_complete"), "An authentication was decided.";
    SessionSubscribed "session.subscribed" "$events/session/subscribed" Some("$events/session_subscribed"), "A client subscribed.";
    SessionUnsubscribed "session.unsubscribed" "$events/session/unsubscribed" Some("$events/session_unsubscribed"), "A client unsubscribed.";
    SchemaValidationFailed "schema.validation_failed" "$events/schema_validation/failed" Some("$events/schema_validation_failed"), "A message failed a schema validation.";
    MessageTransformationFailed "message.transformation_failed" "$events/message_transformation/failed" Some("$events/message_transformation_failed"), "A message transformation failed.";
    AlarmActivated "alarm.activated" "$events/sys/alarm_activated" None, "An alarm was raised.";
    AlarmDeactivated "alarm.deactivated" "$events/sys/alarm_deactivated" None, "An alarm was cleared.";
    KafkaRecord "kafka.record" "" None, "A Kafka Source received a record.";
}

impl EventKind {
    /// The kind whose `event` column says `name`.
    pub fn from_event_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.event_name() == name)
    }

    /// Names in FROM, new and old.
    pub fn topics(self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.topic()).filter(|topic| !topic.is_empty()).chain(self.legacy_topic())
    }
}
