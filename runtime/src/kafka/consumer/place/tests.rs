use super::*;

/// One partition of `commands`: what the group committed, and where the log begins and ends.
struct Kafka {
    committed: Option<i64>,
    begin: i64,
    end: i64,
}

impl Ask for Kafka {
    fn committed(&self, mut of: TopicPartitionList) -> KafkaResult<TopicPartitionList> {
        of.set_all_offsets(self.committed.map_or(Offset::Invalid, Offset::Offset))?;
        Ok(of)
    }

    fn bounds(&self, mut of: TopicPartitionList) -> KafkaResult<TopicPartitionList> {
        let wanted = of.elements()[0].offset();
        of.set_all_offsets(Offset::Offset(if wanted == Offset::Beginning { self.begin } else { self.end }))?;
        Ok(of)
    }
}

fn place(kafka: &Kafka, reset: OffsetReset, all_is_new: bool) -> Place {
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition("commands", 0);
    let places = look_up(kafka, &Partitions(partitions), reset, |_, _| all_is_new).unwrap();
    places[&("commands".into(), 0)]
}

#[test]
fn a_group_with_a_place_reads_on_there() {
    let kafka = Kafka { committed: Some(7), begin: 5, end: 9 };
    for reset in [OffsetReset::Latest, OffsetReset::Earliest] {
        assert_eq!(place(&kafka, reset, true), Place::Committed(7));
    }
}

#[test]
fn a_place_beyond_the_end_is_kept_so_that_it_is_seen_to_go_back() {
    let kafka = Kafka { committed: Some(100), begin: 0, end: 21 };
    for reset in [OffsetReset::Latest, OffsetReset::Earliest] {
        assert_eq!(place(&kafka, reset, false), Place::Committed(100));
    }
}

#[test]
fn a_place_that_kafka_has_deleted_is_chosen_by_the_policy() {
    let kafka = Kafka { committed: Some(3), begin: 5, end: 9 };
    assert_eq!(place(&kafka, OffsetReset::Latest, false), Place::Chosen(9));
    assert_eq!(place(&kafka, OffsetReset::Earliest, false), Place::Committed(3), "librdkafka goes to the beginning");
}

#[test]
fn a_group_without_a_place_begins_where_the_policy_says() {
    let kafka = Kafka { committed: None, begin: 5, end: 9 };
    assert_eq!(place(&kafka, OffsetReset::Latest, false), Place::Chosen(9));
    assert_eq!(place(&kafka, OffsetReset::Earliest, false), Place::Beginning);
}

#[test]
fn a_topic_that_is_new_is_read_from_its_beginning() {
    let kafka = Kafka { committed: None, begin: 0, end: 21 };
    assert_eq!(place(&kafka, OffsetReset::Latest, true), Place::Chosen(0));
    assert_eq!(place(&kafka, OffsetReset::Earliest, true), Place::Beginning);
}
