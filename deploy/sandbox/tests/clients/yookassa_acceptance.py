"""The official Python client of YooKassa, unmodified, against the sandbox.

Needs SANDBOX_URL and, for the HTTPS half, SANDBOX_TLS_URL and SANDBOX_CA.
"""

import faulthandler
import json
import os
import time
import urllib.error
import urllib.request
import uuid
import warnings

warnings.simplefilter("ignore")

from yookassa import Configuration, Payment, Receipt, Refund, Settings
from yookassa.domain.exceptions import (
    BadRequestError,
    InternalServerError,
    NotFoundError,
    UnauthorizedError,
)
from yookassa.domain.notification import WebhookNotificationFactory

# The client has no time limit of its own.
faulthandler.dump_traceback_later(180, exit=True)

URL = os.environ["SANDBOX_URL"]
SHOP = os.environ.get("SANDBOX_SHOP_ID", "100500")
SECRET = os.environ.get("SANDBOX_SECRET_KEY", "test_sandbox")


def configure(secret=SECRET, base=URL, **options):
    Configuration.configure(SHOP, secret, api_url=base + "/yookassa/v3", **options)


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data=data, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def play(payment_id, action):
    return control("POST", f"/_sandbox/payments/{payment_id}/{action}")


def order(value="100.00", **changes):
    return {
        "amount": {"value": value, "currency": "RUB"},
        "capture": True,
        "description": "Заказ №1",
        "confirmation": {"type": "redirect", "return_url": "https://example.com/back"},
        "metadata": {"order_id": "ord-1"},
        **changes,
    }


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected")


def payments():
    key = str(uuid.uuid4())
    payment = Payment.create(order(), key)
    assert len(payment.id) == 36 and payment.test is True
    assert payment.status == "pending" and payment.paid is False
    assert payment.recipient.account_id == SHOP
    assert payment.metadata["order_id"] == "ord-1"
    assert payment.metadata["cms_name"] == "yookassa_sdk_python"
    page = urllib.request.urlopen(payment.confirmation.confirmation_url, timeout=10)
    assert payment.id in page.read().decode()

    assert Payment.create(order(), key).id == payment.id
    error = raises(BadRequestError, lambda: Payment.create(order("101.00"), key))
    assert (error.error.code, error.error.parameter) == ("invalid_request", "Idempotence-Key")
    raises(BadRequestError, lambda: Payment.create(order(), "k" * 65))
    assert Payment.create(order(), str(uuid.uuid4())).id != payment.id

    play(payment.id, "pay")
    payment = Payment.find_one(payment.id)
    assert payment.status == "succeeded" and payment.paid and payment.captured_at
    assert str(payment.amount.value) == "100.00"
    assert payment.payment_method.card.last4 == "4477"
    assert payment.authorization_details.three_d_secure.applied is True
    return payment


def two_stages(paid):
    held = Payment.create(order(capture=False))
    play(held.id, "pay")
    assert Payment.find_one(held.id).status == "waiting_for_capture"
    assert Payment.capture(held.id).status == "succeeded"

    part = Payment.create(order(capture=False))
    play(part.id, "pay")
    taken = Payment.capture(part.id, {"amount": {"value": "30.00", "currency": "RUB"}})
    assert str(taken.amount.value) == "30.00"

    let_go = Payment.create(order(capture=False))
    play(let_go.id, "pay")
    details = Payment.cancel(let_go.id).cancellation_details
    assert (details.party, details.reason) == ("merchant", "canceled_by_merchant")
    raises(BadRequestError, lambda: Payment.cancel(paid.id))

    declined = Payment.create(order())
    play(declined.id, "decline")
    declined = Payment.find_one(declined.id)
    assert declined.status == "canceled" and declined.paid is False
    assert declined.cancellation_details.reason == "general_decline"


def refunds(paid):
    refund = Refund.create({"payment_id": paid.id, "amount": {"value": "40.00", "currency": "RUB"}})
    assert len(refund.id) == 36 and refund.status == "succeeded" and refund.payment_id == paid.id
    assert str(Payment.find_one(paid.id).refunded_amount.value) == "40.00"
    too_much = {"payment_id": paid.id, "amount": {"value": "60.01", "currency": "RUB"}}
    raises(BadRequestError, lambda: Refund.create(too_much))
    assert Refund.find_one(refund.id).id == refund.id
    assert [one.id for one in Refund.list({"payment_id": paid.id}).items] == [refund.id]


def undecided_refunds(paid):
    """Refunds that hang, and how they end; refused ones come with 200."""
    part = {"payment_id": paid.id, "amount": {"value": "10.00", "currency": "RUB"}}
    control("PATCH", "/_sandbox/faults", {"refunds": "pending", "refunds_count": 2})
    first, second = Refund.create(part), Refund.create(part)
    assert first.status == second.status == "pending"
    assert str(Payment.find_one(paid.id).refunded_amount.value) == "40.00"
    control("POST", f"/_sandbox/refunds/{first.id}/succeed")
    control("POST", f"/_sandbox/refunds/{second.id}/cancel", {"reason": "rejected_by_payee"})
    assert Refund.find_one(first.id).status == "succeeded"
    second = Refund.find_one(second.id)
    assert (second.status, second.cancellation_details.reason) == ("canceled", "rejected_by_payee")
    assert str(Payment.find_one(paid.id).refunded_amount.value) == "50.00"
    control("PATCH", "/_sandbox/faults", {"refunds": "refuse", "refunds_count": 1})
    refused = Refund.create(part)
    assert (refused.status, refused.cancellation_details.reason) == ("canceled", "insufficient_funds")
    assert [one.status for one in Refund.list({"payment_id": paid.id, "status": "canceled"}).items] == [
        "canceled",
        "canceled",
    ]


def lists_and_refusals(paid):
    first = Payment.list({"limit": 2})
    assert first.type == "list" and len(first.items) == 2 and first.next_cursor
    second = Payment.list({"limit": 2, "cursor": first.next_cursor})
    assert not {one.id for one in first.items} & {one.id for one in second.items}
    raises(NotFoundError, lambda: Payment.find_one(str(uuid.uuid4())))
    without = order()
    del without["confirmation"]
    error = raises(BadRequestError, lambda: Payment.create(without))
    assert error.error.parameter == "confirmation"
    assert Settings.get_account_settings()["account_id"] == SHOP
    configure("wrong")
    error = raises(UnauthorizedError, lambda: Payment.find_one(paid.id))
    assert error.error.code == "invalid_credentials"
    configure()


def faults():
    key = str(uuid.uuid4())
    control("PATCH", "/_sandbox/faults", {"yookassa": "fail_after", "yookassa_count": 1})
    raises(InternalServerError, lambda: Payment.create(order("77.00"), key))
    payment = Payment.create(order("77.00"), key)
    same = [one for one in Payment.list({"limit": 100}).items if str(one.amount.value) == "77.00"]
    assert [one.id for one in same if one.id == payment.id] == [payment.id]

    control("PATCH", "/_sandbox/faults", {"yookassa": "receipt_required", "yookassa_count": 1})
    error = raises(BadRequestError, lambda: Payment.create(order()))
    assert error.error.parameter == "receipt"


def receipt(value):
    """Of one line, as the client sends it: numbers become texts."""
    line = {
        "description": "Пополнение баланса",
        "quantity": 1,
        "amount": {"value": value, "currency": "RUB"},
        "vat_code": 11,
        "measure": "piece",
        "payment_subject": "service",
        "payment_mode": "full_prepayment",
    }
    return {"customer": {"email": "anna@example.com"}, "items": [line]}


def receipts():
    """A shop that requires them, for as long as this takes."""
    control("PATCH", "/_sandbox/yookassa/shop", {"receipts": True})
    error = raises(BadRequestError, lambda: Payment.create(order()))
    assert error.error.code == "invalid_request" and error.error.parameter == "receipt"
    wrong = order(receipt=receipt("99.99"))
    assert raises(BadRequestError, lambda: Payment.create(wrong)).error.parameter == "receipt"

    payment = Payment.create(order(receipt=receipt("100.00")))
    assert payment.receipt_registration == "pending"
    play(payment.id, "pay")
    kept = Receipt.list({"payment_id": payment.id}).items
    assert [one.type for one in kept] == ["payment"] and kept[0].status == "succeeded"
    assert kept[0].payment_id == payment.id and str(kept[0].items[0].amount.value) == "100.00"
    assert Receipt.find_one(kept[0].id).id == kept[0].id

    part = {"payment_id": payment.id, "amount": {"value": "40.00", "currency": "RUB"}}
    error = raises(BadRequestError, lambda: Refund.create(part))
    assert error.error.parameter == "receipt"
    refund = Refund.create({**part, "receipt": receipt("40.00")})
    kept = Receipt.list({"refund_id": refund.id}).items
    assert [(one.type, one.refund_id) for one in kept] == [("refund", refund.id)]
    control("PATCH", "/_sandbox/yookassa/shop", {"receipts": False})
    assert Payment.create(order()).status == "pending"


def notifications():
    """What the sandbox would send is what the client's own reader takes."""
    payment = Payment.create(order())
    body = {"type": "notification", "event": "payment.succeeded", "object": play(payment.id, "pay")}
    read = WebhookNotificationFactory().create(body)
    assert read.event == "payment.succeeded" and read.object.id == payment.id
    deadline = time.monotonic() + 20
    while True:
        sent = control("GET", "/_sandbox/yookassa/seen")["notifications"]
        if any(one["object_id"] == payment.id for one in sent):
            return
        assert time.monotonic() < deadline, "no notification was tried"
        time.sleep(0.1)


def over_tls():
    base, ca = os.environ.get("SANDBOX_TLS_URL"), os.environ.get("SANDBOX_CA")
    if not (base and ca):
        raise SystemExit("set SANDBOX_TLS_URL and SANDBOX_CA")
    configure(base=base, verify=ca)
    payment = Payment.create(order())
    assert payment.confirmation.confirmation_url.startswith("https://")
    # A dropped answer: over HTTPS the client repeats by itself, with the same key.
    key = str(uuid.uuid4())
    control("PATCH", "/_sandbox/faults", {"yookassa": "drop_after", "yookassa_count": 1})
    try:
        dropped = Payment.create(order("55.55"), key)
    except AttributeError:
        dropped = Payment.create(order("55.55"), key)
    all_of_them = control("GET", "/_sandbox/payments")["payments"]
    twins = [one for one in all_of_them if one["id"] == dropped.id]
    assert len(twins) == 1
    configure()


def main():
    configure()
    paid = payments()
    two_stages(paid)
    refunds(paid)
    undecided_refunds(paid)
    lists_and_refusals(paid)
    faults()
    receipts()
    notifications()
    over_tls()
    print("yookassa: OK")


main()
