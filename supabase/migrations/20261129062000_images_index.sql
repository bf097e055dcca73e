-- Which messages name an image. Only messages that have a media_url are in it.
create index if not exists messages_images on tinychat.messages using hash (tinychat.image_path(media_url))
    where media_url is not null;
