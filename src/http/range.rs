//! Which part of an answer a client wants (RFC 9110, section 14).

use actix_web::HttpRequest;
use actix_web::http::header::{ByteRangeSpec, Header as _, IF_RANGE, RANGE, Range};
use actix_web::http::{Method, header};

/// What a client wants of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it. Who asks for several parts gets that too, which a server may
    /// do: what is put together from parts is larger than the whole.
    Whole,
    /// From this byte to that one, both included.
    Bytes(u64, u64),
    /// Bytes that are not there.
    Nothing,
}

impl Part {
    /// What this request wants of an answer with this tag and so many bytes.
    pub(super) fn of(request: &HttpRequest, tag: &str, length: u64) -> Self {
        if request.method() != Method::GET || !Self::is_of_this(request, tag) {
            return Self::Whole;
        }
        match one_range(request) {
            None => Self::Whole,
            Some(range) => match range.to_satisfiable_range(length) {
                Some((first, last)) => Self::Bytes(first, last),
                None => Self::Nothing,
            },
        }
    }

    /// Whether a client that has a part already has it of this very answer. A
    /// date is none that we gave, and a weak tag says nothing of bytes.
    fn is_of_this(request: &HttpRequest, tag: &str) -> bool {
        let mut tags = request.headers().get_all(IF_RANGE);
        tags.all(|theirs| theirs.as_bytes() == tag.as_bytes())
    }
}

/// The range, where there is one and it can be read.
fn one_range(request: &HttpRequest) -> Option<ByteRangeSpec> {
    let mut headers = request.headers().get_all(RANGE);
    let only = headers.next().filter(|_| headers.next().is_none())?;
    // Of several, those that cannot be read would be overlooked.
    if only.as_bytes().contains(&b',') {
        return None;
    }
    match Range::parse(request).ok()? {
        Range::Bytes(ranges) => ranges.into_iter().next(),
        Range::Unregistered(..) => None,
    }
}

/// The header that says which part an answer is; nothing: none, of so many.
pub(super) fn content_range(part: Option<(u64, u64)>, length: u64) -> header::ContentRange {
    header::ContentRange(header::ContentRangeSpec::Bytes {
        range: part,
        instance_length: Some(length),
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn part(headers: &[(&str, &str)]) -> Part {
        let request = headers.iter().fold(TestRequest::get(), |request, (name, value)| {
            request.append_header((*name, *value))
        });
        Part::of(&request.to_http_request(), "\"tag\"", 100)
    }

    #[test]
    fn one_range_is_a_part_and_what_cannot_be_read_is_overlooked() {
        for (range, wanted) in [
            ("bytes=0-9", Part::Bytes(0, 9)),
            ("bytes=90-", Part::Bytes(90, 99)),
            ("bytes=-10", Part::Bytes(90, 99)),
            ("bytes=-1000", Part::Bytes(0, 99)),
            ("bytes=99-1000", Part::Bytes(99, 99)),
            ("bytes=100-", Part::Nothing),
            ("bytes=100-200", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=9-0", Part::Whole),
            ("bytes=0-9,20-29", Part::Whole),
            ("bytes=", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("99999999999999999999999-", Part::Whole),
        ] {
            assert_eq!(part(&[("range", range)]), wanted, "{range}");
        }
        assert_eq!(part(&[]), Part::Whole);
        assert_eq!(part(&[("range", "bytes=0-9"), ("range", "bytes=0-9")]), Part::Whole);
    }

    #[test]
    fn a_part_of_another_answer_is_the_whole_of_this_one() {
        let of = |tag| part(&[("range", "bytes=0-9"), ("if-range", tag)]);
        assert_eq!(of("\"tag\""), Part::Bytes(0, 9));
        for other in ["W/\"tag\"", "\"other\"", "Sun, 22 Nov 2026 00:00:00 GMT"] {
            assert_eq!(of(other), Part::Whole, "{other}");
        }
        let head = TestRequest::default().method(Method::HEAD);
        let head = head.insert_header(("range", "bytes=0-9")).to_http_request();
        assert_eq!(Part::of(&head, "\"tag\"", 100), Part::Whole);
    }
}
