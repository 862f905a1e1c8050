"""consume.py BOOTSTRAP TOPIC COUNT: a consumer group reads COUNT records; prints each as JSON."""

import json
import sys
import time
import uuid

from confluent_kafka import TIMESTAMP_CREATE_TIME, Consumer

bootstrap, topic, count = sys.argv[1:]
consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": f"consume-{uuid.uuid4()}",
        "auto.offset.reset": "earliest",
    }
)
consumer.subscribe([topic])
deadline = time.monotonic() + 30
left = int(count)
while left and time.monotonic() < deadline:
    record = consumer.poll(1)
    if record is None:
        continue
    if record.error():
        sys.exit(str(record.error()))
    kind, timestamp = record.timestamp()
    print(
        json.dumps(
            {
                "key": (record.key() or b"").decode(),
                "value": record.value().decode(),
                "timestamp": timestamp,
                "is_create_time": kind == TIMESTAMP_CREATE_TIME,
            }
        )
    )
    left -= 1
consumer.close()
if left:
    sys.exit(f"{left} records did not come")
