//! «Отменить работу» under the message that shows how a job goes on.

use proto::media::v1::CancelJobRequest;
use proto::reason;

use crate::talk::Talk;
use crate::text;

use super::buttons;
use super::error::HandlerError;

/// Asks for the end of a job. That it ended, and what came back, is told as every other end.
pub async fn cancel(talk: Talk, operation_id: String) -> Result<(), HandlerError> {
    let request = CancelJobRequest { user_id: talk.user_id, operation_id };
    let Err(status) = talk.app.media.cancel_job(request).await else { return Ok(()) };
    match reason::of(&status).as_deref() {
        Some(reason::JOB_STARTED) => {
            talk.say(text::jobs::TOO_LATE_TO_CANCEL, None).await?;
            Ok(())
        }
        Some(reason::JOB_NOT_FOUND | reason::INVALID_FIELD) => buttons::old(talk).await,
        _ => Err(HandlerError::of("CancelJob")(status)),
    }
}
