//! Another team's service: holds the price of a piece of work, does it, and keeps or returns it.
//!
//! `cargo run -p sandbox` in one terminal, `cargo run -p proto --example charge` in another.

use proto::billing::v1::{
    CommitRequest, GetAccountRequest, RefundRequest, RegisterUserRequest, ReserveRequest,
};
use proto::client::{Billing, channel};
use proto::reason;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let billing = Billing::new(channel("http://127.0.0.1:50051")?);
    let user_id = 42;
    billing.register_user(RegisterUserRequest { user_id, profile: None }).await?;

    // The key names the intent: send it again after a crash, and the user still pays once.
    let reserved = billing
        .reserve(ReserveRequest {
            user_id,
            operation_type: "generate".to_owned(),
            idempotency_key: "my-service:order:1".to_owned(),
            ..ReserveRequest::default()
        })
        .await;
    let operation_id = match reserved {
        Ok(response) => response.operation.ok_or("no operation")?.operation_id,
        Err(status) if reason::of(&status).as_deref() == Some(reason::INSUFFICIENT_FUNDS) => {
            println!("the user has to pay first: {:?}", reason::value(&status, "price_kopecks"));
            return Ok(());
        }
        Err(status) => return Err(status.into()),
    };
    if do_the_work().is_ok() {
        billing.commit(CommitRequest { user_id, operation_id, cost_micro_usd: None }).await?;
    } else {
        let reason = "the work failed".to_owned();
        let refund = RefundRequest { user_id, operation_id, reason, ..RefundRequest::default() };
        billing.refund(refund).await?;
    }
    println!("{:?}", billing.get_account(GetAccountRequest { user_id }).await?.account);
    Ok(())
}

fn do_the_work() -> std::io::Result<()> {
    std::fs::write(std::env::temp_dir().join("work-done"), "a picture")
}
