//! Bytes through the door: requests that no client of ours would send.

use prost::bytes::{Buf as _, BufMut as _};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};

const OPERATOR_HEADER: &str = "x-medialab-operator";

/// Leaves messages as they are.
#[derive(Clone, Copy, Debug, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut item = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut item);
        Ok(Some(item))
    }
}

/// Sends bytes to any call of a service.
#[derive(Clone, Debug)]
pub(crate) struct RawCaller {
    channel: Channel,
}

impl RawCaller {
    pub(crate) fn new(url: &str) -> Self {
        Self { channel: proto::client::channel(url).unwrap() }
    }

    /// As an operators' tool, which the other service does not mind.
    pub(crate) async fn call(&self, path: &str, bytes: Vec<u8>) -> Result<Vec<u8>, Status> {
        self.call_as(Some("tests"), path, bytes).await
    }

    pub(crate) async fn call_as(
        &self,
        operator: Option<&str>,
        path: &str,
        bytes: Vec<u8>,
    ) -> Result<Vec<u8>, Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let mut request = Request::new(bytes);
        if let Some(operator) = operator {
            request.metadata_mut().insert(OPERATOR_HEADER, operator.parse().unwrap());
        }
        let path = PathAndQuery::try_from(path).unwrap();
        grpc.unary(request, path, Bytes).await.map(tonic::Response::into_inner)
    }
}

/// One field of a message, on the wire, of the kind that has a length.
pub(crate) fn field(number: i32, bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    let tag = u64::try_from(number).unwrap() << 3 | 2;
    prost::encoding::encode_varint(tag, &mut message);
    prost::encoding::encode_varint(u64::try_from(bytes.len()).unwrap(), &mut message);
    message.extend_from_slice(bytes);
    message
}
