"""Prints the events of one service, from the first, as the log has them: a line each.

    python consume.py [catalog] [--follow] [--kafka HOST:PORT] [--proto FOLDER]

Kafka is DAYBOOK_KAFKA unless it is named. The .proto files are read as they stand; nothing is generated beforehand.
"""

import argparse
import os
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_tools import protoc

PROTO = Path(__file__).resolve().parents[2] / "proto"


def read_types(folder):
    """Every message type below the folder, by its full name: what the header ce_type says."""
    sources = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "descriptors"
        well_known = files("grpc_tools") / "_proto"
        arguments = ["protoc", f"-I{folder}", f"-I{well_known}", "--include_imports", f"--descriptor_set_out={out}", *sources]
        if not sources or protoc.main(arguments) != 0:
            sys.exit(f"the .proto files in {folder} cannot be read")
        described = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in described.file:
        pool.Add(file)
    return lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def open_topic(kafka, topic):
    """All partitions, from their beginnings. No group is joined, so nothing is left behind in Kafka."""
    consumer = Consumer({
        "bootstrap.servers": kafka,
        "group.id": "consume-events",  # the client wants one; nothing is committed under it
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    })
    found = consumer.list_topics(topic, timeout=10).topics[topic]
    if found.error:
        sys.exit(f"{topic}: {found.error.str()}")
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in found.partitions])
    return consumer, set(found.partitions)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("service", nargs="?", default="catalog")
    options.add_argument("--follow", action="store_true", help="wait for more at the end")
    options.add_argument("--kafka", default=os.environ.get("DAYBOOK_KAFKA", "127.0.0.1:9092"), metavar="HOST:PORT")
    options.add_argument("--proto", type=Path, default=PROTO, metavar="FOLDER")
    options = options.parse_args()

    type_of = read_types(options.proto)
    consumer, unfinished = open_topic(options.kafka, f"{options.service}.events")
    expected = dict.fromkeys(unfinished, 0)
    while unfinished or options.follow:
        message = consumer.poll(1.0)
        if message is None:
            continue
        partition = message.partition()
        if message.error():
            if message.error().code() != KafkaError._PARTITION_EOF:
                raise KafkaException(message.error())
            unfinished.discard(partition)
            continue
        headers = {name: value.decode() for name, value in message.headers()}
        # The log's offset, not Kafka's: it has no gaps. After a crash an event may come once more; one that has been seen
        # is dropped.
        offset = int(headers["daybook-offset"])
        if offset < expected[partition]:
            continue
        if offset > expected[partition]:
            sys.exit(f"{options.service}/{partition}: {expected[partition]} to {offset - 1} are missing: read them from the log")
        expected[partition] = offset + 1
        try:
            event = type_of(headers["ce_type"]).FromString(message.value())
            json = json_format.MessageToJson(event, indent=None, ensure_ascii=False)
        except KeyError:
            json = f"({len(message.value())} bytes of a type that these .proto files do not have)"
        print(f"{partition}:{offset}", headers["ce_type"], message.key().decode(), json)


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        sys.stderr.close()
