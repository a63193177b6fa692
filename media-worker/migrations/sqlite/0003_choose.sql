-- What a user chose besides the model; null leaves it to the model.
alter table jobs add column format text check (format in ('vertical', 'square', 'horizontal'));
alter table jobs add column upscale_factor integer check (upscale_factor > 0);
