"""Calls billing-svc as grpcurl does: with what the server says of itself, and nothing else.

Reserve, Commit and Refund with their repeats, and a refusal whose reason is read from the details.
"""

import os

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status

SERVICE = "medialab.billing.v1.BillingService"

channel = grpc.insecure_channel(os.environ["BILLING_ADDRESS"])
database = ProtoReflectionDescriptorDatabase(channel)
pool = descriptor_pool.DescriptorPool(database)
service = pool.FindServiceByName(SERVICE)


def call(method, **fields):
    """Sends one request, made from the descriptors."""
    described = service.methods_by_name[method]
    request = message_factory.GetMessageClass(described.input_type)(**fields)
    answer = message_factory.GetMessageClass(described.output_type)
    send = channel.unary_unary(
        f"/{SERVICE}/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer.FromString,
    )
    return send(request, timeout=10)


def reason(method, **fields):
    """The reason code with which a call is refused."""
    try:
        call(method, **fields)
    except grpc.RpcError as refusal:
        info = error_details_pb2.ErrorInfo()
        for detail in rpc_status.from_call(refusal).details:
            if detail.Unpack(info):
                return info.reason
    raise AssertionError(f"{method} was not refused with a reason")


assert SERVICE in database.get_services(), database.get_services()

account = call("RegisterUser", user_id=42).account
assert (account.free_operations, account.balance_kopecks) == (4, 0), account

first = call("Reserve", user_id=42, operation_type="generate", idempotency_key="other:1").operation
again = call("Reserve", user_id=42, operation_type="generate", idempotency_key="other:1").operation
assert first.operation_id == again.operation_id
for _ in range(2):
    operation = call("Commit", user_id=42, operation_id=first.operation_id).operation
    assert operation.state == 2, operation
assert call("GetAccount", user_id=42).account.free_operations == 3

second = call("Reserve", user_id=42, operation_type="edit", idempotency_key="other:2").operation
for _ in range(2):
    operation = call(
        "Refund", user_id=42, operation_id=second.operation_id, reason="the work failed"
    ).operation
    assert operation.state == 3, operation
assert call("GetAccount", user_id=42).account.free_operations == 3

refused = reason("Reserve", user_id=42, operation_type="edit", idempotency_key="other:1")
assert refused == "IDEMPOTENCY_KEY_REUSED", refused
refused = reason("Commit", user_id=42, operation_id=second.operation_id)
assert refused == "OPERATION_REFUNDED", refused

print("billing-svc, by reflection: OK")
