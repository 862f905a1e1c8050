//! The one table of columns: what each is, which type it has, a sample value. The compiler, the documentation and the
//! sample events of tests are made from it (behaviour document §5.3).

use super::EventKind;
use crate::value::Text;

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Text.
    Text,
    /// Text, or bytes when not UTF-8.
    Binary,
    /// A whole number.
    Int,
    /// True or false.
    Bool,
    /// A map.
    Map,
    /// A map, or null/undefined when the peer is MQTT 3.1.1.
    Any,
}

impl Type {
    /// Whether a path may lead into a value of this type (text may be JSON).
    pub fn may_be_nested(self) -> bool {
        !matches!(self, Self::Int | Self::Bool)
    }

    /// For documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Binary => "string or bytes",
            Self::Int => "integer",
            Self::Bool => "boolean",
            Self::Map => "map",
            Self::Any => "any",
        }
    }
}

macro_rules! columns {
    ($($variant:ident $name:literal $type:ident $sample:literal $doc:literal;)*) => {
        /// A column that some event has. [`EventKind::columns`] says which event has which.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Column {
            $(#[doc = $doc] $variant),*
        }

        impl Column {
            /// Every column.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in SQL.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The type, the same for every event that has the column.
            pub const fn value_type(self) -> Type {
                match self { $(Self::$variant => Type::$type),* }
            }

            /// A typical value as JSON, for sample events and documentation.
            pub const fn sample(self) -> &'static str {
                match self { $(Self::$variant => $sample),* }
            }

            /// What the column says, one line.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $doc),* }
            }

            /// The column called `name`.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

columns! {
    // Of every event.
    Event "event" Text r#""message.publish""# "Name of the event, such as `message.publish`.";
    Timestamp "timestamp" Int "1700000000000" "When the event happened, epoch milliseconds.";
    Node "node" Text r#""isthmus-0""# "Name of the pod that saw the event.";
    Metadata "metadata" Map r#"{"rule_id":"rule"}"# "About the rule itself: `rule_id`.";
    // Of messages.
    Id "id" Text r#""0005F8F84FFFAFB9F44200000D810002""# "Message identifier: 32 hexadecimal digits, ordered by time.";
    ClientId "clientid" Text r#""c_device""# "Client identifier.";
    Username "username" Text r#""u_device""# "User name; undefined for anonymous clients.";
    FromClientId "from_clientid" Text r#""c_device_1""# "Client identifier of the publisher.";
    FromUsername "from_username" Text r#""u_device_1""# "User name of the publisher.";
    Payload "payload" Binary r#""{\"msg\": \"hello\"}""# "The message's payload; paths into it read it as JSON.";
    PeerHost "peerhost" Text r#""192.168.0.10""# "IP address of the client.";
    PeerName "peername" Text r#""192.168.0.10:32781""# "IP address and port of the client.";
    SockName "sockname" Text r#""0.0.0.0:1883""# "IP address and port of the listener.";
    Topic "topic" Text r#""t/a""# "Topic: of MQTT, or of Kafka for a record of a Source.";
    Qos "qos" Int "1" "MQTT quality of service: 0, 1 or 2.";
    Flags "flags" Map r#"{"retain":false,"dup":false}"# "MQTT flags: `retain`, `dup`.";
    PubProps "pub_props" Map r#"{"User-Property":{},"User-Property-Pairs":[]}"# "MQTT 5.0 properties of the PUBLISH.";
    PubackProps "puback_props" Map r#"{"User-Property":{},"User-Property-Pairs":[]}"# "MQTT 5.0 properties of the acknowledgement.";
    PublishReceivedAt "publish_received_at" Int "1700000000000" "When the broker received the message, epoch milliseconds.";
    ClientAttrs "client_attrs" Map r#"{"test":"example"}"# "Attributes of the client set at connection.";
    Reason "reason" Text r#""normal""# "Why: of a drop or a disconnection.";
    // Of clients.
    MountPoint "mountpoint" Text r#""""# "Prefix put before the client's topics.";
    ProtoName "proto_name" Text r#""MQTT""# "Protocol name of CONNECT.";
    ProtoVer "proto_ver" Int "5" "Protocol level: 4 for MQTT 3.1.1, 5 for 5.0.";
    Keepalive "keepalive" Int "60" "Keep alive in seconds.";
    CleanStart "clean_start" Bool "true" "Whether the client asked for a new session.";
    ReceiveMaximum "receive_maximum" Int "32" "Receive Maximum of the client.";
    ExpiryInterval "expiry_interval" Int "3600" "Session expiry in seconds.";
    IsBridge "is_bridge" Bool "false" "Whether the client is a bridge.";
    ConnProps "conn_props" Map r#"{"User-Property":{},"User-Property-Pairs":[]}"# "MQTT 5.0 properties of CONNECT.";
    DisconnProps "disconn_props" Map r#"{"User-Property":{},"User-Property-Pairs":[]}"# "MQTT 5.0 properties of DISCONNECT.";
    ConnectedAt "connected_at" Int "1700000000000" "When the client connected, epoch milliseconds.";
    DisconnectedAt "disconnected_at" Int "1700000000000" "When the client disconnected, epoch milliseconds.";
    ReasonCode "reason_code" Text r#""success""# "Outcome as text, such as `success` or `not_authorized`.";
    Action "action" Text r#""publish""# "What was to be authorized: `publish` or `subscribe`.";
    Result "result" Text r#""allow""# "Outcome of the authorization: `allow` or `deny`.";
    AuthzSource "authz_source" Text r#""cache""# "Which check decided.";
    IsSuperuser "is_superuser" Bool "false" "Whether the client may do everything.";
    IsAnonymous "is_anonymous" Bool "false" "Whether the client gave no credentials.";
    SubProps "sub_props" Map r#"{"User-Property":{}}"# "MQTT 5.0 properties of SUBSCRIBE.";
    UnsubProps "unsub_props" Map r#"{"User-Property":{}}"# "MQTT 5.0 properties of UNSUBSCRIBE.";
    // Of checks and alarms.
    Validation "validation" Text r#""my_validation""# "Name of the schema validation that failed.";
    Transformation "transformation" Text r#""my_transformation""# "Name of the message transformation that failed.";
    Name "name" Text r#""alarm_name""# "Name of the alarm.";
    Details "details" Map r#"{"usage":"85%"}"# "Details of the alarm.";
    Message "message" Text r#""alarm message""# "Text of the alarm.";
    ActivatedAt "activated_at" Int "1700000000000" "When the alarm was raised, epoch milliseconds.";
    DeactivatedAt "deactivated_at" Int "1700000000000" "When the alarm was cleared, epoch milliseconds.";
    // Of Kafka records.
    Headers "headers" Map r#"{"trace":"42"}"# "Headers of the Kafka record; of equal keys the last one.";
    Key "key" Binary r#""car-7""# "Key of the Kafka record; undefined when it has none.";
    Value "value" Binary r#""{\"msg\": \"hello\"}""# "Value of the Kafka record.";
    Offset "offset" Int "42" "Offset of the Kafka record in its partition.";
    Ts "ts" Int "1700000000000" "Timestamp of the Kafka record, epoch milliseconds.";
    TsType "ts_type" Text r#""create""# "Type of the timestamp: `create`, `append` or `undefined`.";
}

impl Column {
    /// The name as a text that costs nothing to clone.
    pub const fn text(self) -> Text {
        Text::constant(self.name())
    }
}

macro_rules! table {
    ($name:ident: $($column:ident)*) => {
        const $name: &[Column] = &[$(Column::$column,)* Column::Event, Column::Timestamp, Column::Node];
    };
}

table!(PUBLISH: Id ClientId Username Payload PeerHost PeerName Topic Qos Flags PubProps PublishReceivedAt ClientAttrs);
table!(DELIVERED: Id FromClientId FromUsername ClientId Username Payload PeerHost PeerName Topic Qos Flags PubProps
    PublishReceivedAt);
table!(ACKED: Id FromClientId FromUsername ClientId Username Payload PeerHost PeerName Topic Qos Flags PubProps
    PubackProps PublishReceivedAt);
table!(DROPPED: Id Reason ClientId Username Payload PeerHost PeerName Topic Qos Flags PubProps PublishReceivedAt);
table!(DELIVERY_DROPPED: Id Reason FromClientId FromUsername ClientId Username Payload PeerHost PeerName Topic Qos
    Flags PubProps PublishReceivedAt);
table!(CONNECTED: ClientId Username MountPoint PeerName SockName ProtoName ProtoVer Keepalive CleanStart
    ReceiveMaximum ExpiryInterval IsBridge ConnProps ConnectedAt ClientAttrs);
table!(DISCONNECTED: Reason ClientId Username PeerName SockName ProtoName ProtoVer DisconnProps ConnectedAt
    DisconnectedAt ClientAttrs);
table!(CONNACK: ReasonCode ClientId Username CleanStart PeerName SockName ProtoName ProtoVer Keepalive
    ExpiryInterval ConnectedAt ConnProps);
table!(PING: ClientId Username CleanStart PeerName SockName ProtoName ProtoVer Keepalive ExpiryInterval ConnProps);
table!(AUTHZ: ClientId Username PeerHost PeerName Topic Action Result AuthzSource ClientAttrs);
table!(AUTHN: ClientId Username PeerName ReasonCode IsSuperuser IsAnonymous ClientAttrs);
table!(SUBSCRIBED: ClientId Username PeerHost PeerName Topic Qos SubProps ClientAttrs);
table!(UNSUBSCRIBED: ClientId Username PeerHost PeerName Topic Qos UnsubProps ClientAttrs);
table!(VALIDATION_FAILED: Id Validation ClientId Username Payload PeerHost PeerName Topic Qos Flags PubProps
    PublishReceivedAt ClientAttrs);
table!(TRANSFORMATION_FAILED: Id Transformation ClientId Username Payload PeerHost PeerName Topic Qos Flags PubProps
    PublishReceivedAt ClientAttrs);
table!(ALARM_ACTIVATED: Name Details Message ActivatedAt);
table!(ALARM_DEACTIVATED: Name Details Message ActivatedAt DeactivatedAt);
table!(RECORD: Topic Key Value Headers Offset Ts TsType);

impl EventKind {
    /// The columns of this event, `metadata` (which the rule adds itself) left out.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::MessagePublish => PUBLISH,
            Self::MessageDelivered => DELIVERED,
            Self::MessageAcked => ACKED,
            Self::MessageDropped => DROPPED,
            Self::DeliveryDropped => DELIVERY_DROPPED,
            Self::ClientConnected => CONNECTED,
            Self::ClientDisconnected => DISCONNECTED,
            Self::ClientConnack => CONNACK,
            Self::ClientPing => PING,
            Self::CheckAuthzComplete => AUTHZ,
            Self::CheckAuthnComplete => AUTHN,
            Self::SessionSubscribed => SUBSCRIBED,
            Self::SessionUnsubscribed => UNSUBSCRIBED,
            Self::SchemaValidationFailed => VALIDATION_FAILED,
            Self::MessageTransformationFailed => TRANSFORMATION_FAILED,
            Self::AlarmActivated => ALARM_ACTIVATED,
            Self::AlarmDeactivated => ALARM_DEACTIVATED,
            Self::KafkaRecord => RECORD,
        }
    }

    /// Whether this event has the column.
    pub fn has(self, column: Column) -> bool {
        column == Column::Metadata || self.columns().contains(&column)
    }
}
