"""telemetry.py HOST PORT VERSION VEHICLES MESSAGES: vehicles that publish through Paho at QoS 1.

Each vehicle is a client `car-N` that publishes `{"speed": S, "number": M}` to `vehicles/N/telemetry`,
numbered in order. Ends when everything is acknowledged.
"""

import json
import sys

import paho.mqtt.client as mqtt

host, port, version, vehicles, messages = sys.argv[1:]
protocol = {"3.1.1": mqtt.MQTTv311, "5.0": mqtt.MQTTv5}[version]
handles = []
clients = []
for vehicle in range(int(vehicles)):
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, f"car-{vehicle}", protocol=protocol)
    client.connect(host, int(port))
    client.loop_start()
    clients.append(client)
for number in range(int(messages)):
    for vehicle, client in enumerate(clients):
        payload = json.dumps({"speed": 50 + number % 100, "number": number})
        handles.append(client.publish(f"vehicles/{vehicle}/telemetry", payload, qos=1))
for handle in handles:
    handle.wait_for_publish(60)
    if not handle.is_published():
        sys.exit("a publication was not acknowledged")
for client in clients:
    client.disconnect()
    client.loop_stop()
