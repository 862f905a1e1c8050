//! What must not allocate: finding the rules of a topic, however many there are.

use isthmus_rules::trie::FilterTrie;

#[test]
fn a_topic_is_matched_among_ten_thousand_filters_without_an_allocation() {
    let mut trie = FilterTrie::new();
    for number in 0..10_000 {
        trie.insert(&format!("site-{}/line-{number}/+/state", number % 100), number);
    }
    for filter in ["#", "vehicles/#", "vehicles/+/telemetry", "vehicles/7/+", "vehicles/7/telemetry", "+/+/+"] {
        trie.insert(filter, 1);
    }
    let mut found = 0;
    let counted = allocation_counter::measure(|| {
        for topic in ["vehicles/7/telemetry", "site-7/line-107/x/state", "a/b/c/d/e/f/g", "$SYS/x", ""] {
            trie.for_each_match(topic, |value| found += value);
        }
    });
    assert_eq!(counted.count_total, 0);
    assert!(found > 6, "the topics do match: {found}");
}
