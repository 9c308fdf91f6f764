"""Articles: from draft to page. Other apps ask `articles.catalogue`, nothing else."""
