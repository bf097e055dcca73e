//! CORS: the headers that a page of another origin may read. Each route's tests include the preflight.

use support::{Chat, Request};

#[tokio::test]
async fn a_page_may_read_the_request_id_and_the_limits_of_every_answer() {
    let chat = Chat::new().await;
    for request in
        [Request::get("/v1/config"), Request::get("/v1/config").without_key(), Request::get("/v1/nothing")]
    {
        let response = chat.call(request).await;
        let mut exposed: Vec<_> =
            response.header("access-control-expose-headers").split(',').map(str::trim).collect();
        exposed.sort_unstable();
        assert_eq!(exposed, ["apigw-requestid", "ratelimit", "ratelimit-policy", "retry-after"]);
        assert!(!response.header("apigw-requestid").is_empty());
    }
}
