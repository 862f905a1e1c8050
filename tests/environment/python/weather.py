"""weather.py HOST PORT TOPIC: replays Seattle's weather 2012-2015, a day per message, through Paho.

The table ships inside the vega_datasets package. Each published payload is printed once the broker
has acknowledged it.
"""

import csv
import importlib.util
import json
import pathlib
import sys

import paho.mqtt.client as mqtt

host, port, topic = sys.argv[1:]
package = importlib.util.find_spec("vega_datasets").submodule_search_locations[0]
with open(pathlib.Path(package, "_data", "seattle-weather.csv"), newline="") as file:
    rows = list(csv.DictReader(file))
for row in rows:
    for column in ("precipitation", "temp_max", "temp_min", "wind"):
        row[column] = float(row[column])

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "weather-station", protocol=mqtt.MQTTv5)
client.connect(host, int(port))
client.loop_start()
published = [(client.publish(topic, json.dumps(row), qos=1), row) for row in rows]
for handle, row in published:
    handle.wait_for_publish(60)
    if not handle.is_published():
        sys.exit(f"not acknowledged: {row}")
    print(json.dumps(row))
client.disconnect()
client.loop_stop()
