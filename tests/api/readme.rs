//! The README's lists, beside what there is.

/// The section of this heading.
fn section(heading: &str) -> &'static str {
    let readme = include_str!("../../README.md");
    let after = readme.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    after.split("\n## ").next().unwrap()
}

#[test]
fn every_route_but_the_boards_files_stands_in_the_readme() {
    let listed = section("Routes");
    for route in latchlight::http::routes() {
        let of_board = [".js", ".css", ".svg"].iter().any(|end| route.path.ends_with(end));
        let path = format!("{}`", route.path);
        assert!(
            of_board || route.path == "/" || listed.contains(&path),
            "{} {}",
            route.method,
            route.path
        );
    }
}

#[test]
fn every_path_in_the_readme_is_a_route() {
    let routes = latchlight::http::routes();
    let rows =
        section("Routes").lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    for words in rows.flat_map(|row| row.split('`').skip(1).step_by(2)) {
        let path = words.trim_start_matches(|c: char| c.is_ascii_uppercase() || c == ' ');
        if path.starts_with('/') {
            assert!(routes.iter().any(|route| route.path == path), "{words}");
        }
    }
}
