# pip install yookassa==3.13.0 ; YK=http://127.0.0.1:8899 python acceptance.py
import os, uuid, json, urllib.request, warnings
warnings.simplefilter("ignore")
from yookassa import Configuration, Payment, Refund
from yookassa.domain.exceptions import BadRequestError, NotFoundError, UnauthorizedError

BASE = os.environ.get("YK", "http://127.0.0.1:8899")
def cfg(secret="test_sandbox"):
    Configuration.configure("100500", secret, api_url=BASE + "/v3")   # no trailing slash
def sandbox_pay(pid):                                                # adapt to your control API
    req = urllib.request.Request(f"{BASE}/_sandbox/payments/{pid}/pay", data=b"", method="POST")
    return json.load(urllib.request.urlopen(req, timeout=5))
def body(value="100.00", capture=True):
    return {"amount": {"value": value, "currency": "RUB"}, "capture": capture, "description": "Заказ №1",
            "confirmation": {"type": "redirect", "return_url": "https://example.com/back"},
            "metadata": {"order_id": "ord-1"}}
def raises(exc, f):
    try: f()
    except exc as e: return e
    raise AssertionError(f"{exc.__name__} expected")

cfg(); key = str(uuid.uuid4())
p = Payment.create(body(), key)
assert len(p.id) == 36 and p.status == "pending" and p.paid is False and p.test is True
assert p.confirmation.confirmation_url and p.recipient.account_id == "100500"
assert p.metadata["order_id"] == "ord-1" and p.metadata["cms_name"] == "yookassa_sdk_python"
assert Payment.create(body(), key).id == p.id                          # replay: same object
e = raises(BadRequestError, lambda: Payment.create(body("101.00"), key))  # same key, other body
assert e.error.code == "invalid_request" and e.error.parameter == "Idempotence-Key"
raises(BadRequestError, lambda: Payment.create(body(), "k" * 65))
assert Payment.create(body(), str(uuid.uuid4())).id != p.id            # other key: other payment
sandbox_pay(p.id); p = Payment.find_one(p.id)
assert p.status == "succeeded" and p.paid and p.captured_at and str(p.amount.value) == "100.00"
q = Payment.create(body(capture=False)); sandbox_pay(q.id)
assert Payment.find_one(q.id).status == "waiting_for_capture"
assert Payment.capture(q.id).status == "succeeded"                     # POST with an empty body
c = Payment.create(body(capture=False)); sandbox_pay(c.id); c = Payment.cancel(c.id)
assert (c.status, c.cancellation_details.party, c.cancellation_details.reason) == \
       ("canceled", "merchant", "canceled_by_merchant")
raises(BadRequestError, lambda: Payment.cancel(p.id))                  # succeeded cannot be canceled
r = Refund.create({"payment_id": p.id, "amount": {"value": "40.00", "currency": "RUB"}})
assert len(r.id) == 36 and r.status == "succeeded" and r.payment_id == p.id
assert str(Payment.find_one(p.id).refunded_amount.value) == "40.00"
l = Payment.list({"limit": 2}); assert l.type == "list" and l.items
raises(NotFoundError, lambda: Payment.find_one(str(uuid.uuid4())))
cfg("wrong"); assert raises(UnauthorizedError, lambda: Payment.find_one(p.id)).error.code == "invalid_credentials"
print("OK")
