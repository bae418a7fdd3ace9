# ITK from the distribution, only the readers that we use, behind one private target.
find_package(ITK 5.2 REQUIRED COMPONENTS ITKCommon ITKIOImageBase ITKIOGDCM ITKIONIFTI ITKIONRRD ITKIOMeta ITKNIFTI
             ITKImageGrid ITKImageFunction ITKTransform ITKGDCM)
# ITK_USE_FILE registers every IO factory; ours are registered by hand in sharding/import.
add_library(homolog_itk INTERFACE)
target_include_directories(homolog_itk SYSTEM INTERFACE ${ITK_INCLUDE_DIRS})
target_link_libraries(homolog_itk INTERFACE ${ITK_LIBRARIES})
