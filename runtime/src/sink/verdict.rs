//! What an error of Kafka, or of its client, about a record means: the one place that tells librdkafka's codes apart.

use rdkafka::error::RDKafkaErrorCode as Code;

/// Who an error is about, and so what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The record, or another one of its batch: sent again in smaller company, at last alone; refused alone, it failed.
    Record,
    /// The batch has more bytes than Kafka takes at once: likewise.
    TooLarge,
    /// Another record of its batch, which Kafka names: sent again.
    Bystander,
    /// The topic is not there: the topic waits until it is. It is a record's own fault if it chose the topic.
    TopicMissing,
    /// Kafka does not let this user write to the topic, or no topic can be called so: likewise.
    TopicRefused,
    /// The producer has lost its place: another one goes on.
    Producer,
    /// The settings do not suit this Kafka, or it is in trouble: the topic waits, and the Sink's state says why.
    Kafka,
    /// It was taken back: sent again.
    TakenBack,
}

impl Verdict {
    /// About a record that was sent, or could not be handed to the client. What is not known is put down to Kafka: said,
    /// and tried again.
    pub(super) fn of(code: Code) -> Self {
        match code {
            Code::InvalidRecord
            | Code::InvalidTimestamp
            // "Corrupt message" is how Kafka before 2.4 refuses a record without key for a compacted topic.
            | Code::InvalidMessage
            | Code::PolicyViolation
            | Code::BadMessage
            | Code::BadCompression
            | Code::KeySerialization
            | Code::ValueSerialization
            | Code::InvalidArgument
            | Code::InvalidType => Self::Record,
            Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge => Self::TooLarge,
            Code::InvalidDifferentRecord => Self::Bystander,
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicId => {
                Self::TopicMissing
            }
            Code::TopicAuthorizationFailed | Code::InvalidTopic => Self::TopicRefused,
            Code::Fatal
            | Code::State
            | Code::OutOfOrderSequenceNumber
            | Code::UnknownProducerId
            | Code::InvalidProducerEpoch
            | Code::InvalidProducerIdMapping
            | Code::ProducerFenced
            | Code::Fenced
            | Code::Inconsistent
            | Code::GaplessGuarantee => Self::Producer,
            Code::PurgeQueue | Code::PurgeInflight | Code::Retry => Self::TakenBack,
            _ => Self::Kafka,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_verdict() {
        let table: &[(Verdict, &[Code])] = &[
            (
                Verdict::Record,
                &[
                    Code::InvalidRecord,
                    Code::InvalidTimestamp,
                    Code::InvalidMessage,
                    Code::PolicyViolation,
                    Code::InvalidArgument,
                    Code::BadCompression,
                ],
            ),
            (Verdict::TooLarge, &[Code::MessageSizeTooLarge, Code::InvalidMessageSize, Code::MessageBatchTooLarge]),
            (Verdict::Bystander, &[Code::InvalidDifferentRecord]),
            (Verdict::TopicMissing, &[Code::UnknownTopicOrPartition, Code::UnknownTopic, Code::UnknownPartition]),
            (Verdict::TopicRefused, &[Code::TopicAuthorizationFailed, Code::InvalidTopic]),
            (
                Verdict::Producer,
                &[
                    Code::Fatal,
                    Code::State,
                    Code::OutOfOrderSequenceNumber,
                    Code::UnknownProducerId,
                    Code::InvalidProducerEpoch,
                    Code::Fenced,
                    Code::ProducerFenced,
                ],
            ),
            (
                Verdict::Kafka,
                &[
                    Code::InvalidRequiredAcks,
                    Code::UnsupportedForMessageFormat,
                    Code::UnsupportedCompressionType,
                    Code::UnsupportedVersion,
                    Code::ClusterAuthorizationFailed,
                    Code::NotEnoughReplicas,
                    Code::NotEnoughReplicasAfterAppend,
                    Code::KafkaStorageError,
                    Code::LeaderNotAvailable,
                    Code::NotLeaderForPartition,
                    Code::RequestTimedOut,
                    Code::MessageTimedOut,
                    Code::ThrottlingQuotaExceeded,
                    Code::BrokerTransportFailure,
                    Code::Authentication,
                    Code::Unknown,
                ],
            ),
            (Verdict::TakenBack, &[Code::PurgeQueue, Code::PurgeInflight, Code::Retry]),
        ];
        for (verdict, codes) in table {
            for code in *codes {
                assert_eq!(Verdict::of(*code), *verdict, "{code:?}");
            }
        }
    }
}
