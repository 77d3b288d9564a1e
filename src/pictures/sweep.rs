//! What a start finds that an earlier run left half done: files without a row,
//! and rows without their file.

use std::collections::HashSet;

use super::store::{DECODING, Pictures, WAITING, blocking};
use super::{Picture, PictureError, PictureSize, files};

/// So many pictures can have been in hand when the server ended. If there is
/// more than that without its other half, the database or the folder is not
/// the one that it was, and nothing of it is destroyed.
const IN_HAND: usize = DECODING + WAITING;

impl Pictures {
    /// Removes what is half there. Nothing may come or go meanwhile.
    pub(super) async fn sweep(&self) -> Result<(), PictureError> {
        let folder = self.inner.folder.clone();
        let found = blocking(move || files::look(&folder)).await?;
        let mut rows = Vec::new();
        let mut after = None;
        loop {
            let page = self.inner.rows.page(false, after.as_ref(), 1000).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            rows.extend(page);
        }
        let known: HashSet<String> = rows.iter().flat_map(Picture::file_names).collect();
        let strays: Vec<String> = found.pictures.difference(&known).cloned().collect();
        self.sweep_files(found.unfinished, strays).await?;
        let is_there = |row: &Picture| found.pictures.contains(&row.file_name(PictureSize::Full));
        rows.retain(|row| !is_there(row));
        self.sweep_rows(rows).await
    }

    async fn sweep_files(
        &self,
        mut unfinished: Vec<String>,
        strays: Vec<String>,
    ) -> Result<(), PictureError> {
        let folder = self.inner.folder.clone();
        if strays.len() > IN_HAND * PictureSize::ALL.len() {
            let milliseconds = jiff::Timestamp::now().as_millisecond();
            let aside = folder.with_extension(format!("lost-{milliseconds}"));
            tracing::error!(
                files = strays.len(), aside = %aside.display(),
                "the database does not know these pictures: they are kept aside, for ever"
            );
            blocking(move || files::set_aside(&folder, &strays, &aside)).await?;
        } else {
            unfinished.extend(strays);
        }
        if unfinished.is_empty() {
            return Ok(());
        }
        tracing::warn!(files = unfinished.len(), "removed pictures whose upload did not end");
        let folder = self.inner.folder.clone();
        blocking(move || files::remove(&folder, &unfinished)).await
    }

    async fn sweep_rows(&self, lost: Vec<Picture>) -> Result<(), PictureError> {
        if lost.len() > IN_HAND {
            let folder = self.inner.folder.display();
            tracing::error!(pictures = lost.len(), %folder, "the files of these pictures are gone");
            return Ok(());
        }
        for picture in &lost {
            tracing::warn!(picture = %picture.id, "removed a picture that was half deleted");
            self.remove_files(picture).await?;
            self.inner.rows.delete(&picture.id).await?;
        }
        Ok(())
    }
}
