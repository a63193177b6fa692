"""The way of the seed: a bot that charges through SQLAlchemy, in threads, without a service.

Its own tables (users, balances, operations), two transactions for a charge: take the price, then
mark the operation as done. Started by the benchmark; prints one line of JSON.
"""

import json
import os
import random
import sys
import threading
import time
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

url, threads, users, seconds, warm_up = sys.argv[1], *map(float, sys.argv[2:6])
threads, users = int(threads), int(users)
PRICE = Decimal(10)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    telegram_id: Mapped[int] = mapped_column(sa.BigInteger, unique=True)
    free_operations_left: Mapped[int] = mapped_column(sa.Integer)


class Balance(Base):
    __tablename__ = "balances"
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"), primary_key=True)
    balance: Mapped[Decimal] = mapped_column(sa.Numeric(20, 2))


class Operation(Base):
    __tablename__ = "operations"
    id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"), index=True)
    operation_type: Mapped[str] = mapped_column(sa.String(64))
    cost: Mapped[Decimal] = mapped_column(sa.Numeric(20, 2))
    status: Mapped[str] = mapped_column(sa.String(16))
    created_at: Mapped[float] = mapped_column(sa.DateTime, server_default=sa.func.now())


engine = sa.create_engine(url, pool_size=threads)


def prepare():
    """Makes the tables once: half of the users have money, half free operations."""
    if sa.inspect(engine).has_table("operations"):
        return
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "insert into users select i, i, case when i % 2 = 1 then 10000 else 0 end"
                " from generate_series(1, :n) i"
            ),
            {"n": users},
        )
        connection.execute(
            sa.text("insert into balances select i, 10000000 from generate_series(1, :n) i"),
            {"n": users},
        )


def reserve(user_id):
    with Session(engine) as session:
        user = session.get(User, user_id, with_for_update=True)
        if user.free_operations_left > 0:
            user.free_operations_left -= 1
            cost = Decimal(0)
        else:
            balance = session.get(Balance, user_id, with_for_update=True)
            if balance.balance < PRICE:
                raise ValueError("too little money")
            balance.balance -= PRICE
            cost = PRICE
        operation = Operation(
            user_id=user_id, operation_type="generate", cost=cost, status="processing"
        )
        session.add(operation)
        session.flush()
        id_ = operation.id
        session.commit()
        return id_


def complete(operation_id):
    with Session(engine) as session:
        operation = session.get(Operation, operation_id, with_for_update=True)
        operation.status = "completed"
        session.commit()


def charge(counts, begins, ends):
    while True:
        for call in (reserve, complete):
            started = time.monotonic()
            if call is reserve:
                operation_id = reserve(random.randint(1, users))
            else:
                complete(operation_id)
            now = time.monotonic()
            if begins <= now < ends:
                counts.append(now - started)
        if now >= ends:
            return


prepare()
begins = time.monotonic() + warm_up
ends = begins + seconds
calls = [[] for _ in range(threads)]
workers = [threading.Thread(target=charge, args=(counts, begins, ends)) for counts in calls]
for worker in workers:
    worker.start()
time.sleep(max(0, begins - time.monotonic()))
before = sum(os.times()[:2])
time.sleep(max(0, ends - time.monotonic()))
used = sum(os.times()[:2]) - before
for worker in workers:
    worker.join()
micros = sorted(int(call * 1e6) for counts in calls for call in counts)
print(json.dumps({"calls_micros": micros, "cpu_seconds": used}))
