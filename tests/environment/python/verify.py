"""verify.py BOOTSTRAP TOPIC: compares what a topic holds with what the benchmark's devices sent.

Standard input has a list: how many messages each device sent. Every value in the topic holds one number, 1, five
digits of the device, eight digits of its message; some bridges write the payload in base64. Prints as JSON: records, how many are duplicated, out of order for
their device or unknown, and for each device with missing messages the ranges [from, to) of their numbers.
"""

import base64
import json
import re
import sys

from confluent_kafka import Consumer, KafkaError, TopicPartition

bootstrap, topic = sys.argv[1:]
sent = json.load(sys.stdin)
seen = [bytearray(count) for count in sent]
newest = [-1] * len(sent)
records = duplicated = out_of_order = unknown = 0
find = re.compile(rb't(?:emp)?\\?":1(\d{5})(\d{8})[,}]').search
encoded = re.compile(rb'"payload":"([A-Za-z0-9+/=]+)"').search

consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": "verify",
        "enable.auto.commit": False,
        "fetch.max.bytes": 64 << 20,
        "queued.max.messages.kbytes": 256 << 10,
        "enable.partition.eof": True,
    }
)
partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
left = set(partitions)
while left:
    batch = consumer.consume(50_000, timeout=0.5)
    for record in batch:
        error = record.error()
        if error:
            if error.code() == KafkaError._PARTITION_EOF:
                left.discard(record.partition())
                continue
            sys.exit(str(error))
        records += 1
        found = find(record.value())
        if not found:
            payload = encoded(record.value())
            found = payload and find(base64.b64decode(payload[1]))
        if not found:
            unknown += 1
            continue
        device, message = int(found[1]), int(found[2])
        if device >= len(sent) or message >= sent[device]:
            unknown += 1
            continue
        if seen[device][message]:
            duplicated += 1
            continue
        seen[device][message] = 1
        if message < newest[device]:
            out_of_order += 1
        else:
            newest[device] = message
consumer.close()


def missing(marks):
    ranges = []
    start = marks.find(0)
    while start >= 0:
        end = marks.find(1, start)
        end = len(marks) if end < 0 else end
        ranges.append([start, end])
        start = marks.find(0, end)
    return ranges


print(
    json.dumps(
        {
            "records": records,
            "duplicated": duplicated,
            "out_of_order": out_of_order,
            "unknown": unknown,
            "missing": {device: missing(marks) for device, marks in enumerate(seen) if 0 in marks},
        }
    )
)
