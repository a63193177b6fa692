//! `MediaService`: pictures are looked at by their first bytes, jobs end when a test says so.

use proto::media::v1::media_service_server::MediaService;
use proto::media::v1::{
    AckResultsRequest, AckResultsResponse, AddTextHeader, AddTextRequest, AddTextResponse,
    CancelJobRequest, CancelJobResponse, DescribeTextStyleRequest, DescribeTextStyleResponse,
    FetchResultRequest, FetchResultResponse, GetJobRequest, GetJobResponse, GetLimitsRequest,
    GetLimitsResponse, Job, JobState, ListModelsRequest, ListModelsResponse, PictureHeader,
    SubmitJobRequest, SubmitJobResponse, UploadInputRequest, UploadInputResponse,
    WatchResultsRequest, WatchResultsResponse, add_text_request, add_text_response,
    fetch_result_response, upload_input_request, watch_results_response,
};
use proto::reason::{self, MEDIA_DOMAIN, refusal};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

use super::{Fakes, Model, Strike, lendable};

type Answer<T> = Result<Response<T>, Status>;

impl Model {
    fn submit(&mut self, request: &SubmitJobRequest) -> Result<Job, Status> {
        self.submits.push(request.clone());
        if let Some(known) =
            self.jobs.iter().find(|known| known.operation_id == request.operation_id)
        {
            return Ok(known.clone());
        }
        let is_known = |id: &String| self.inputs.contains_key(id);
        if !request.input_ids.iter().all(is_known) {
            return Err(refused(Code::NotFound, reason::INPUT_NOT_FOUND));
        }
        let job = Job {
            operation_id: request.operation_id.clone(),
            user_id: request.user_id,
            mode: request.mode,
            state: JobState::Queued.into(),
            ..Job::default()
        };
        self.jobs.push(job.clone());
        Ok(job)
    }
}

fn refused(code: Code, reason: &str) -> Status {
    refusal(code, (MEDIA_DOMAIN, reason), "as the fake decides", [])
}

fn is_picture(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8, 0xff]) || bytes.starts_with(b"\x89PNG")
}

#[tonic::async_trait]
impl MediaService for Fakes {
    async fn upload_input(
        &self,
        request: Request<Streaming<UploadInputRequest>>,
    ) -> Answer<UploadInputResponse> {
        let mut stream = request.into_inner();
        let mut bytes = Vec::new();
        while let Some(message) = stream.message().await? {
            if let Some(upload_input_request::Part::Piece(piece)) = message.part {
                assert!(piece.len() <= 64 * 1024, "a piece of {} bytes", piece.len());
                bytes.extend_from_slice(&piece);
            }
        }
        if let Strike::Before(status) = self.strike(|model| &mut model.upload, MEDIA_DOMAIN) {
            return Err(status);
        }
        if !is_picture(&bytes) {
            return Err(refused(Code::InvalidArgument, reason::NOT_A_PICTURE));
        }
        let input_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, &bytes).to_string();
        self.model().inputs.insert(input_id.clone(), bytes);
        Ok(Response::new(UploadInputResponse { input_id, ..UploadInputResponse::default() }))
    }

    async fn submit_job(&self, request: Request<SubmitJobRequest>) -> Answer<SubmitJobResponse> {
        let strike = self.strike(|model| &mut model.submit, MEDIA_DOMAIN);
        let request = request.into_inner();
        match strike {
            Strike::Before(status) => {
                self.model().submits.push(request);
                Err(status)
            }
            Strike::Hang => std::future::pending().await,
            Strike::After(status) => {
                self.model().submit(&request)?;
                Err(status)
            }
            Strike::Nothing => {
                let job = Some(self.model().submit(&request)?);
                Ok(Response::new(SubmitJobResponse { job }))
            }
        }
    }

    async fn get_job(&self, _: Request<GetJobRequest>) -> Answer<GetJobResponse> {
        Err(Status::unimplemented("the bot has no business with this call"))
    }

    async fn cancel_job(&self, request: Request<CancelJobRequest>) -> Answer<CancelJobResponse> {
        let CancelJobRequest { user_id, operation_id } = request.into_inner();
        let mut model = self.model();
        let is_it = |job: &&Job| job.user_id == user_id && job.operation_id == operation_id;
        let Some(job) = model.jobs.iter().find(is_it).cloned() else {
            return Err(refused(Code::NotFound, reason::JOB_NOT_FOUND));
        };
        if model.has_begun {
            return Err(refused(Code::FailedPrecondition, reason::JOB_STARTED));
        }
        model.cancelled.push(operation_id);
        Ok(Response::new(CancelJobResponse { job: Some(job) }))
    }

    async fn list_models(&self, _: Request<ListModelsRequest>) -> Answer<ListModelsResponse> {
        let models = self.model().models.clone();
        Ok(Response::new(ListModelsResponse { models }))
    }

    async fn describe_text_style(
        &self,
        request: Request<DescribeTextStyleRequest>,
    ) -> Answer<DescribeTextStyleResponse> {
        let DescribeTextStyleRequest { description, style } = request.into_inner();
        let mut model = self.model();
        model.descriptions.push(description.clone());
        let mut style = style.unwrap_or_default();
        let words_not_understood = match description.as_str() {
            "красный" => {
                "#FF0000".clone_into(&mut style.color);
                Vec::new()
            }
            other => other.split(' ').map(ToOwned::to_owned).collect(),
        };
        let words_understood = i32::from(words_not_understood.is_empty());
        Ok(Response::new(DescribeTextStyleResponse {
            style: Some(style),
            words_not_understood,
            words_understood,
        }))
    }

    async fn get_limits(&self, _: Request<GetLimitsRequest>) -> Answer<GetLimitsResponse> {
        let refusals_left = self.model().refusals_left;
        Ok(Response::new(GetLimitsResponse { refusals_left, ..GetLimitsResponse::default() }))
    }

    type WatchResultsStream = ReceiverStream<Result<WatchResultsResponse, Status>>;

    async fn watch_results(
        &self,
        _: Request<WatchResultsRequest>,
    ) -> Answer<Self::WatchResultsStream> {
        Ok(Response::new(self.lend(|model| {
            let progress = model.progress.drain(..).map(watch_results_response::Update::Progress);
            let mut updates: Vec<_> = progress.collect();
            let ended = lendable(&mut model.results, |job| job.user_id);
            updates.extend(ended.into_iter().map(watch_results_response::Update::Ended));
            updates
                .into_iter()
                .map(|update| WatchResultsResponse { update: Some(update) })
                .collect()
        })))
    }

    async fn ack_results(&self, request: Request<AckResultsRequest>) -> Answer<AckResultsResponse> {
        let mut model = self.model();
        for id in request.into_inner().jobs {
            for lent in &mut model.results {
                if lent.thing.operation_id == id.operation_id {
                    lent.is_acknowledged = true;
                }
            }
        }
        Ok(Response::new(AckResultsResponse {}))
    }

    type FetchResultStream = ReceiverStream<Result<FetchResultResponse, Status>>;

    async fn fetch_result(
        &self,
        request: Request<FetchResultRequest>,
    ) -> Answer<Self::FetchResultStream> {
        let operation_id = request.into_inner().operation_id;
        if self.model().stuck_picture == operation_id {
            return Err(Status::unavailable("the test lost it"));
        }
        let Some(bytes) = self.model().pictures.get(&operation_id).cloned() else {
            return Err(refused(Code::NotFound, reason::RESULT_NOT_FOUND));
        };
        let parts = std::iter::once(fetch_result_response::Part::Header(header(&bytes)))
            .chain(pieces(&bytes).map(fetch_result_response::Part::Piece))
            .map(|part| FetchResultResponse { part: Some(part) });
        Ok(Response::new(send(parts.collect())))
    }

    type AddTextStream = ReceiverStream<Result<AddTextResponse, Status>>;

    async fn add_text(
        &self,
        request: Request<Streaming<AddTextRequest>>,
    ) -> Answer<Self::AddTextStream> {
        let mut stream = request.into_inner();
        let (mut bytes, mut told) = (Vec::new(), AddTextHeader::default());
        while let Some(message) = stream.message().await? {
            match message.part {
                Some(add_text_request::Part::Piece(piece)) => bytes.extend_from_slice(&piece),
                Some(add_text_request::Part::Header(header)) => told = header,
                None => {}
            }
        }
        {
            let mut model = self.model();
            model.texts.push(told.clone());
            if !told.input_id.is_empty() {
                let stored = model.inputs.get(&told.input_id).cloned();
                bytes = stored.ok_or_else(|| refused(Code::NotFound, reason::INPUT_NOT_FOUND))?;
            }
        }
        if told.text.is_empty() || !is_picture(&bytes) {
            return Err(refused(Code::InvalidArgument, reason::TEXT_MISSING));
        }
        let parts = std::iter::once(add_text_response::Part::Header(header(&bytes)))
            .chain(pieces(&bytes).map(add_text_response::Part::Piece))
            .map(|part| AddTextResponse { part: Some(part) });
        Ok(Response::new(send(parts.collect())))
    }
}

fn header(bytes: &[u8]) -> PictureHeader {
    let kind = if bytes.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
    PictureHeader {
        content_type: kind.to_owned(),
        size_bytes: i64::try_from(bytes.len()).unwrap(),
        width: 64,
        height: 48,
    }
}

fn pieces(bytes: &[u8]) -> impl Iterator<Item = bytes::Bytes> {
    bytes.chunks(64 * 1024).map(bytes::Bytes::copy_from_slice)
}

fn send<T: Send + 'static>(parts: Vec<T>) -> ReceiverStream<Result<T, Status>> {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    tokio::spawn(async move {
        for part in parts {
            if sender.send(Ok(part)).await.is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(receiver)
}
