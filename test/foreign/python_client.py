"""Asks a server through stubs generated from the proto, and prints the answers as one JSON object.

usage: python_client.py ADDRESS PROTO_FOLDER < requests.json

Standard input holds a list of DecideRequest in protobuf's JSON form, request_id in each. The output holds the answers to
Decide, to one DecideBatch and to one DecideStream (in the order of the request ids), and the error of a faulty call.
"""

import json
import pathlib
import sys
import tempfile

import grpc
import grpc_tools
from google.protobuf import json_format
from grpc_tools import protoc


def generate(proto_folder: str, out: str) -> None:
    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    files = ["portcullis/v1/decision.proto", "google/rpc/error_details.proto", "google/rpc/status.proto"]
    arguments = ["protoc", f"-I{proto_folder}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}"]
    if protoc.main([*arguments, *files]) != 0:
        raise SystemExit("protoc refused the proto")


def main() -> None:
    address, proto_folder = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as out:
        generate(proto_folder, out)
        sys.path.insert(0, out)
        print(json.dumps(ask(address, json.load(sys.stdin))))


def ask(address: str, requests: list) -> dict:
    from portcullis.v1 import decision_pb2 as pb
    from portcullis.v1 import decision_pb2_grpc

    def to_message(request: dict) -> pb.DecideRequest:
        return json_format.ParseDict(request, pb.DecideRequest())

    def to_dict(message) -> dict:
        return json_format.MessageToDict(message, preserving_proto_field_name=True)

    with grpc.insecure_channel(address) as channel:
        stub = decision_pb2_grpc.DecisionServiceStub(channel)
        messages = [to_message(request) for request in requests]
        unary = [to_dict(stub.Decide(message, timeout=10)) for message in messages]
        batch = stub.DecideBatch(pb.DecideBatchRequest(requests=messages), timeout=10)
        stream = sorted(stub.DecideStream(iter(messages), timeout=10), key=lambda result: result.request_id)
        try:
            stub.Decide(pb.DecideRequest(tool="t", environment="prod"), timeout=10)
            error = None
        except grpc.RpcError as failure:
            error = describe(failure)
    return {
        "unary": unary,
        "batch": [to_dict(result.response) for result in batch.results],
        "stream": [to_dict(result.response) for result in stream],
        "error": error,
    }


def describe(failure: grpc.RpcError) -> dict:
    from google.rpc import error_details_pb2, status_pb2

    trailers = dict(failure.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    return {
        "code": failure.code().name,
        "message": failure.details(),
        "reason": info.reason,
        "domain": info.domain,
        "metadata": dict(info.metadata),
    }


if __name__ == "__main__":
    main()
