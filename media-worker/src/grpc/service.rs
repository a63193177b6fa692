//! The calls of `MediaService`.

use std::io::ErrorKind;
use std::sync::Arc;

use bytes::Bytes;
use proto::media::v1 as wire;
use proto::media::v1::media_service_server::MediaService;
use proto::service::shutdown::Shutdown;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{self as stream, Iter};
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

use crate::add_text::TextRenderer;
use crate::clock::now_ms;
use crate::domain::{ResultPicture, Stage};
use crate::worker::Parts;

use super::status::MediaError;
use super::{cancel, convert, draw, pieces, standing, style, submit, uploads, watch};

/// Pictures on their way in at once.
const UPLOADING_MAX: usize = 16;
/// Pictures being drawn at once: each keeps a processor busy.
const DRAWING_MAX: usize = 2;
/// Pictures being drawn or waiting for it.
const WAITING_MAX: usize = 8;
/// Ends and progress on their way to one watcher.
const WATCH_BUFFER: usize = 16;

/// What the calls need.
#[derive(Debug)]
pub struct Door {
    pub(super) parts: Parts,
    pub(super) renderer: Arc<TextRenderer>,
    pub(super) uploading: Semaphore,
    pub(super) drawing: Arc<Semaphore>,
    pub(super) drawing_or_waiting: Semaphore,
    shutdown: Shutdown,
}

impl Door {
    /// A door to these parts, whose streams end at `shutdown`.
    pub fn new(parts: Parts, renderer: TextRenderer, shutdown: Shutdown) -> Self {
        Self {
            parts,
            renderer: Arc::new(renderer),
            uploading: Semaphore::new(UPLOADING_MAX),
            drawing: Arc::new(Semaphore::new(DRAWING_MAX)),
            drawing_or_waiting: Semaphore::new(WAITING_MAX),
            shutdown,
        }
    }
}

/// Serves `MediaService`.
#[derive(Clone, Debug)]
pub struct MediaGrpc {
    door: Arc<Door>,
}

impl MediaGrpc {
    /// Serves through this door.
    pub fn new(door: Door) -> Self {
        Self { door: Arc::new(door) }
    }
}

#[tonic::async_trait]
impl MediaService for MediaGrpc {
    async fn upload_input(
        &self,
        request: Request<Streaming<wire::UploadInputRequest>>,
    ) -> Result<Response<wire::UploadInputResponse>, Status> {
        Ok(Response::new(uploads::upload(&self.door, request.into_inner()).await?))
    }

    async fn submit_job(
        &self,
        request: Request<wire::SubmitJobRequest>,
    ) -> Result<Response<wire::SubmitJobResponse>, Status> {
        let job = submit::submit(&self.door, request.into_inner()).await?;
        let job = Some(standing::told(&self.door.parts, &job).await?);
        Ok(Response::new(wire::SubmitJobResponse { job }))
    }

    async fn get_job(
        &self,
        request: Request<wire::GetJobRequest>,
    ) -> Result<Response<wire::GetJobResponse>, Status> {
        let wire::GetJobRequest { user_id, operation_id } = request.into_inner();
        let key = convert::key(user_id, &operation_id)?;
        let parts = &self.door.parts;
        let job = parts.store.job(key).await.map_err(MediaError::Store)?;
        let job = job.ok_or(MediaError::JobNotFound)?;
        let job = Some(standing::told(parts, &job).await?);
        Ok(Response::new(wire::GetJobResponse { job }))
    }

    async fn cancel_job(
        &self,
        request: Request<wire::CancelJobRequest>,
    ) -> Result<Response<wire::CancelJobResponse>, Status> {
        let wire::CancelJobRequest { user_id, operation_id } = request.into_inner();
        let key = convert::key(user_id, &operation_id)?;
        let job = cancel::cancel(&self.door.parts, key).await?;
        let job = Some(standing::told(&self.door.parts, &job).await?);
        Ok(Response::new(wire::CancelJobResponse { job }))
    }

    async fn list_models(
        &self,
        _request: Request<wire::ListModelsRequest>,
    ) -> Result<Response<wire::ListModelsResponse>, Status> {
        Ok(Response::new(convert::offered(&self.door.parts.models)))
    }

    async fn get_limits(
        &self,
        request: Request<wire::GetLimitsRequest>,
    ) -> Result<Response<wire::GetLimitsResponse>, Status> {
        let user = convert::user(request.into_inner().user_id)?;
        Ok(Response::new(standing::limits(&self.door.parts, user).await?))
    }

    type WatchResultsStream = ReceiverStream<Result<wire::WatchResultsResponse, Status>>;

    async fn watch_results(
        &self,
        _request: Request<wire::WatchResultsRequest>,
    ) -> Result<Response<Self::WatchResultsStream>, Status> {
        let (to, from) = mpsc::channel(WATCH_BUFFER);
        let watching = watch::run(self.door.parts.clone(), self.door.shutdown.clone(), to);
        // Ends with the stream: it notices a closed channel, and the shutdown.
        tokio::spawn(watching.in_current_span());
        Ok(Response::new(ReceiverStream::new(from)))
    }

    async fn ack_results(
        &self,
        request: Request<wire::AckResultsRequest>,
    ) -> Result<Response<wire::AckResultsResponse>, Status> {
        let parts = &self.door.parts;
        for key in convert::acks(&request.into_inner())? {
            if parts.store.ack(key, now_ms()).await.map_err(MediaError::Store)? {
                tracing::info!(user.id = %key.user, operation.id = %key.operation, "job's end acknowledged");
            }
        }
        // The user's next end can be lent now.
        parts.board.tell_ended();
        Ok(Response::new(wire::AckResultsResponse {}))
    }

    type FetchResultStream = Iter<std::vec::IntoIter<Result<wire::FetchResultResponse, Status>>>;

    async fn fetch_result(
        &self,
        request: Request<wire::FetchResultRequest>,
    ) -> Result<Response<Self::FetchResultStream>, Status> {
        let wire::FetchResultRequest { user_id, operation_id } = request.into_inner();
        let key = convert::key(user_id, &operation_id)?;
        let parts = &self.door.parts;
        let job = parts.store.job(key).await.map_err(MediaError::Store)?;
        let job = job.ok_or(MediaError::JobNotFound)?;
        let Stage::Succeeded { result } = job.stage else {
            return Err(MediaError::ResultNotFound.into());
        };
        let file = result.file.as_deref().ok_or(MediaError::ResultNotFound)?;
        let bytes = match parts.pictures.result(key.user, file).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(MediaError::ResultNotFound.into());
            }
            Err(error) => return Err(MediaError::Disk(error).into()),
        };
        Ok(Response::new(stream::iter(result_parts(&result, bytes))))
    }

    async fn describe_text_style(
        &self,
        request: Request<wire::DescribeTextStyleRequest>,
    ) -> Result<Response<wire::DescribeTextStyleResponse>, Status> {
        Ok(Response::new(style::describe_style(request.into_inner())?))
    }

    type AddTextStream = Iter<std::vec::IntoIter<Result<wire::AddTextResponse, Status>>>;

    async fn add_text(
        &self,
        request: Request<Streaming<wire::AddTextRequest>>,
    ) -> Result<Response<Self::AddTextStream>, Status> {
        let rendered = draw::draw(&self.door, request.into_inner()).await?;
        Ok(Response::new(stream::iter(draw::answer(rendered))))
    }
}

fn result_parts(
    result: &ResultPicture,
    bytes: Bytes,
) -> Vec<Result<wire::FetchResultResponse, Status>> {
    use wire::fetch_result_response::Part;

    let header = wire::PictureHeader {
        content_type: result.content_type.clone(),
        size_bytes: result.size,
        width: convert::number(result.width),
        height: convert::number(result.height),
    };
    // Pieces share the picture's memory.
    std::iter::once(Part::Header(header))
        .chain(pieces::cut(bytes).map(Part::Piece))
        .map(|part| Ok(wire::FetchResultResponse { part: Some(part) }))
        .collect()
}
