"""delete_topic.py BOOTSTRAP TOPIC: returns when clients no longer see the topic."""

import sys
import time

from confluent_kafka.admin import AdminClient

bootstrap, topic = sys.argv[1:]
admin = AdminClient({"bootstrap.servers": bootstrap})
for future in admin.delete_topics([topic], operation_timeout=20).values():
    future.result()

deadline = time.monotonic() + 20
while topic in admin.list_topics(timeout=20).topics:
    if time.monotonic() > deadline:
        sys.exit(f"{topic} was deleted and is still there")
    time.sleep(0.02)
